-- What a script sees, and how it is run. The libraries in it that are the server's are made by api.lua, cjson.lua and,
-- for the text of a library of functions, registering.lua.
--
-- Globals live in `real`, behind an empty proxy that refuses writes; so do the libraries. `hidden` leads from a
-- proxy to what it stands for. A call into the server that fails raises a Python exception, which Lua sees as
-- userdata: `translate` makes the error table of it, wherever a script could catch one. (Were redis.call a function in
-- Lua, which could raise that itself, `return redis.call(...)` would lose the line that error texts name.)
--
-- Scripts are called user_script in error texts, the text of a library user_function. A tail call loses the caller's
-- line; then line 1 is named.
--
-- The globals of a library are `function_globals`, behind a proxy of their own; while its text runs, to register
-- functions, there is nothing in the world but the library `registering`.

local host, make_api, make_registering, make_cjson, make_reply, random = ...
local raw = {}
for name, value in pairs(_G) do raw[name] = value end
local sethook, getinfo = debug.sethook, debug.getinfo
local error, type, tostring, select, rawget = error, type, tostring, select, rawget
local READONLY = 'Attempt to modify a readonly table'
local TICKS = 2000
local OURS = {sandbox = true, api = true, registering = true} -- files that run in the name of a script
local PIECE_BYTES = 65536
local CROWDED = ' (not a python object)' -- of 8,000 places that Lua has for a call, the way to Python takes some

local hidden = setmetatable({}, {__mode = 'k'})
local real = {}
local globals -- of what runs
local unit = '@user_script' -- what runs, as its chunk is called

local function line()
  for level = 3, 200 do
    local info = getinfo(level, 'Sl')
    if not info then break end
    if info.source == unit then return info.currentline end
  end
  return 1
end

local function fail(message)
  error(unit:sub(2) .. ':' .. line() .. ': ' .. message, 0)
end

-- What scripts see as the metatable of what they can not change.
local frozen = setmetatable({}, {__newindex = function() fail(READONLY) end, __metatable = false})

local function protect(library)
  local proxy = {}
  hidden[proxy] = library
  local metatable = {__index = library, __newindex = function() fail(READONLY) end, __metatable = frozen}
  return setmetatable(proxy, metatable), metatable
end

-- What a script learns of an error. One that was raised in here names the script's line.
local function translate(e)
  if type(e) == 'userdata' then return host.pending() or e end
  if type(e) == 'string' and OURS[e:match('^(%l+)%.lua:%d+')] then
    return (e:gsub('^%l+%.lua:%d+', function() return unit:sub(2) .. ':' .. line() end))
  end
  if type(e) == 'string' and e:sub(-#CROWDED) == CROWDED then
    return (e:gsub("bad argument #1 to ('.-') %b()$", 'too many arguments to %1'))
  end
  return e
end

-- the base library

local function caught(ok, e, ...)
  if ok then return ok, e, ... end
  e = translate(e)
  if type(e) == 'table' and type(rawget(e, 'err')) == 'string' then e = rawget(e, 'err') end
  return ok, e
end

local function load_text(text, name)
  if text:sub(1, 1) == '\27' then return nil, 'binary chunks are not allowed' end
  local f, problem = raw.loadstring(text, name)
  if f then raw.setfenv(f, globals) end
  return f, problem
end

for _, name in ipairs {'assert', 'error', 'gcinfo', 'ipairs', 'rawequal', 'select', 'tonumber', 'tostring', 'type',
                       'unpack', '_VERSION'} do
  real[name] = raw[name]
end
real._G = protect(real)

function real.pcall(...)
  if select('#', ...) == 0 then return false, 'attempt to call a boolean value' end
  return caught(raw.pcall(...))
end

function real.xpcall(...)
  local f, handler = ...
  if select('#', ...) < 2 then fail("bad argument #2 to 'xpcall' (value expected)") end
  return raw.xpcall(f, function(e) return handler(translate(e)) end)
end

function real.next(t, k)
  return raw.next(hidden[t] or t, k)
end

function real.pairs(...)
  local t = ...
  local target = t ~= nil and hidden[t]
  if not target then return raw.pairs(...) end
  return function(_, k) return raw.next(target, k) end, t, nil
end

function real.rawget(t, k)
  return rawget(t ~= nil and hidden[t] or t, k)
end

function real.rawset(t, k, v)
  if t ~= nil and hidden[t] then error(READONLY, 0) end
  return raw.rawset(t, k, v)
end

function real.setmetatable(...)
  local t = ...
  if t ~= nil and hidden[t] then error(READONLY, 0) end
  return raw.setmetatable(...)
end

function real.getmetatable(...)
  local t = ...
  if t ~= nil and hidden[t] and t ~= globals then return nil end
  return (raw.getmetatable(...))
end

local function kind_of_first(...)
  return select('#', ...) == 0 and 'no value' or type((...))
end

function real.loadstring(...)
  local text, name = ...
  if type(text) ~= 'string' and type(text) ~= 'number' then
    fail("bad argument #1 to 'loadstring' (string expected, got " .. kind_of_first(...) .. ')')
  end
  return load_text(tostring(text), name)
end

function real.load(...)
  local f, name = ...
  if type(f) ~= 'function' then
    fail("bad argument #1 to 'load' (function expected, got " .. kind_of_first(...) .. ')')
  end
  local pieces = {}
  while true do
    local piece = f()
    if piece == nil or piece == '' then break end
    pieces[#pieces + 1] = piece
  end
  return load_text(raw.table.concat(pieces), name or '=(load)')
end

-- Lua collects when it likes: a script may ask for it, but not change how it is done.
local collecting = {
  collect = 0, stop = 0, restart = 0, step = false, setpause = 200, setstepmul = 200,
}

function real.collectgarbage(...)
  local option = ...
  if option == nil then option = 'collect' end
  if type(option) ~= 'string' and type(option) ~= 'number' then
    fail("bad argument #1 to 'collectgarbage' (string expected, got " .. type(option) .. ')')
  end
  if option == 'count' then return raw.collectgarbage('count') end
  local answer = collecting[option]
  if answer == nil then fail("bad argument #1 to 'collectgarbage' (invalid option '" .. option .. "')") end
  if option == 'collect' or option == 'step' then raw.collectgarbage('collect') end
  return answer
end

local function copy(library)
  local result = {}
  for name, value in raw.pairs(library) do result[name] = value end
  return result
end

local own_string = copy(string)

-- Lua makes a long one byte by byte, and nothing interrupts it.
function own_string.rep(...)
  local text, count = ...
  if type(text) ~= 'string' or type(count) ~= 'number' or count > 2147483647
    or #text == 0 or #text > PIECE_BYTES or #text * count <= 2 * PIECE_BYTES then
    return raw.string.rep(...)
  end
  local in_piece = math.floor(PIECE_BYTES / #text)
  local piece, pieces = raw.string.rep(text, in_piece), {}
  for at = 1, math.floor(count / in_piece) do pieces[at] = piece end
  pieces[#pieces + 1] = raw.string.rep(text, math.floor(count) % in_piece)
  return raw.table.concat(pieces)
end

real.string = protect(own_string)
real.table = protect(copy(table))
local own_math = copy(math)

function own_math.random(...)
  raw.math.random(...) -- complains of what makes no sense
  return random.random(...)
end

function own_math.randomseed(...)
  raw.math.randomseed(...)
  random.randomseed(...)
end

real.math = protect(own_math)
real.os = protect({clock = os.clock})
getmetatable('').__metatable = (protect({__index = real.string}))

-- the end of scripts that go on for too long

local running, ending = false, false

local function tick()
  if running and host.over() then
    ending = true
    sethook(tick, '', 1) -- at every instruction from now on, so that no pcall outlives it
    error({err = host.reason()}, 0)
  end
end

sethook(tick, '', TICKS)

local function create(f)
  local thread = coroutine.create(f)
  sethook(thread, tick, '', TICKS)
  return thread
end

local resume = coroutine.resume

local function resumed(ok, e, ...)
  if ok then return ok, e, ... end
  return ok, translate(e)
end

local function passed(ok, e, ...)
  if ok then return e, ... end
  error(translate(e), 0)
end

real.coroutine = protect({
  create = create,
  resume = function(...) return resumed(resume(...)) end,
  running = coroutine.running,
  status = coroutine.status,
  wrap = function(f)
    local thread = create(f)
    return function(...) return passed(resume(thread, ...)) end
  end,
  yield = coroutine.yield,
})

-- the server's own

local function refuse(message)
  error({err = 'ERR ' .. message}, 0)
end

local version = 2 -- of RESP, as the script has chosen

local make_named = make_api(host, refuse, function(chosen)
  version = chosen
  host.setresp(chosen)
end)
local named = {redis = make_named('redis'), server = make_named('server')}

-- Protect both in `scope`, where they are one to a script that compares them.
local function open_library(scope, make)
  local function same() return true end
  for name, library in raw.pairs(named) do
    local proxy, metatable = protect(make(library))
    metatable.__eq = same
    scope[name] = proxy
  end
end

open_library(real, copy)

-- libraries that are written in Python answer (true, results...) or (false, message)

local function answered(ok, first, ...)
  if not ok then fail(first) end
  return first, ...
end

local described = {
  cmsgpack = {_NAME = 'cmsgpack', _VERSION = 'lua-cmsgpack 0.4.0', _DESCRIPTION = 'MessagePack for Lua'},
}

for library, functions in raw.pairs(host.libraries) do
  local members = described[library] or {}
  for name, f in raw.pairs(functions) do
    local inner = python.as_function(f)
    members[name] = function(...) return answered(inner(...)) end
  end
  real[library] = protect(members)
end
local cjson, reset_cjson = make_cjson(fail)
real.cjson = protect(cjson)

local strict = {
  __index = function(_, name)
    fail("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'")
  end,
}
raw.setmetatable(real, strict)
globals = real._G

-- libraries of functions

local make_for_text, begin_registering, finish_registering = make_registering(host, named, refuse)
local registering = {}
for name in raw.pairs(named) do registering[name] = protect(raw.setmetatable(make_for_text(name), strict)) end
raw.setmetatable(registering, strict)

local function_globals = copy(real)
local function_proxy, function_index = protect(function_globals)
function_globals._G = function_proxy
open_library(function_globals, function(library)
  local calling = copy(library)
  for _, key in ipairs {'breakpoint', 'debug', 'replicate_commands'} do calling[key] = nil end
  return calling
end)
raw.setmetatable(function_globals, strict)

-- running

local function on_error(e)
  running = false
  e = translate(e)
  local at = line()
  if type(e) ~= 'table' then return {'ERR ' .. tostring(e), at} end
  local text = rawget(e, 'err')
  return {type(text) == 'string' and text or 'ERR unknown error', at}
end

local encode, forget_encoded = make_reply(host.format_double)
local returned, spoken -- what a script has returned, and the RESP version of its client

-- A table may be in what is returned many times over, so this belongs to what may take long, and have to end.
local function encode_returned()
  return encode(returned, spoken, version)
end

local sandbox = {}

function sandbox.compile(text)
  local f, problem = raw.loadstring(text, '@user_script')
  if f then raw.setfenv(f, real._G) end
  return f, problem
end

local function start(source, env)
  unit, globals, version = source, env, 2
  reset_cjson()
  running = true
end

local function finish()
  running = false
  if ending then
    ending = false
    sethook(tick, '', TICKS)
  end
end

-- Run `f`, a script, or a function of a library if it `is_function`. Returns a string that it returned; what else it
-- returned, encoded, and true; or an error and its line.
local function run_script(is_function, f, protocol, keys, argv)
  local ok, value
  if is_function then
    start('@user_function', function_proxy)
    ok, value = raw.xpcall(function() return f(keys, argv) end, on_error)
  else
    real.KEYS, real.ARGV = keys, argv
    start('@user_script', real._G)
    ok, value = raw.xpcall(f, on_error)
  end
  local is_encoded = ok and type(value) ~= 'string'
  if is_encoded then
    returned, spoken = value, protocol
    ok, value = raw.xpcall(encode_returned, on_error)
    returned = nil
    if not ok then forget_encoded() end
  end
  finish()
  if ok then
    if is_encoded then return value, true end
    return value
  end
  if type(value) ~= 'table' then return 'ERR ' .. tostring(value), 1 end -- out of memory: no handler ran
  return value[1], value[2]
end

-- The first `count` of the words are its keys.
function sandbox.run(is_function, f, protocol, count, ...)
  local keys, argv = {...}, {select(count + 1, ...)}
  for at = count + 1, #keys do keys[at] = nil end
  return run_script(is_function, f, protocol, keys, argv)
end

-- Likewise, with so many words that they come in a table.
function sandbox.run_many(is_function, f, protocol, count, words)
  local keys, argv = {}, {}
  for at = 1, count do keys[at] = words[at] end
  for at = count + 1, #words do argv[at - count] = words[at] end
  return run_script(is_function, f, protocol, keys, argv)
end

-- Run the text of a library: true and what it registers, or false and why not.
function sandbox.load(text)
  local f, problem = raw.loadstring(text, '@user_function')
  if not f then return false, 'Error compiling function: ' .. problem end
  raw.setfenv(f, function_proxy)
  begin_registering()
  function_index.__index = registering
  start('@user_function', function_proxy)
  local ok, value = raw.xpcall(f, on_error)
  local found = finish_registering()
  function_index.__index = function_globals
  finish()
  if ok then return true, found end
  return false, 'Error registering functions: ' .. (type(value) == 'table' and value[1] or 'ERR ' .. tostring(value))
end

-- Collect a bit of what is not used any more; whether a round is done.
function sandbox.collect()
  return raw.collectgarbage('step', 100)
end

debug = nil -- or a traceback would be made for every error that leaves Lua
return sandbox
