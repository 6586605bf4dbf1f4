-- What a script sees, and how it is run.
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

local host, make_cjson, make_reply, random = ...
local raw = {}
for name, value in pairs(_G) do raw[name] = value end
local sethook, getinfo = debug.sethook, debug.getinfo
local error, type, tostring, select, rawget = error, type, tostring, select, rawget
local READONLY = 'Attempt to modify a readonly table'
local TICKS = 2000
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
  if type(e) == 'string' and e:sub(1, 12) == 'sandbox.lua:' then
    return (e:gsub('^sandbox%.lua:%d+', function() return unit:sub(2) .. ':' .. line() end))
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

real.string = protect(copy(string))
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

local function field(name)
  return function(...)
    local text = ...
    if select('#', ...) ~= 1 or type(text) ~= 'string' then return {err = 'ERR wrong number or type of arguments'} end
    if name == 'err' then
      if text:sub(1, 1) == '-' then text = text:sub(2) end
      if not text:find(' ', 1, true) then text = 'ERR ' .. text end
    end
    return {[name] = text}
  end
end

local version = 2 -- of RESP, as the script has chosen

-- The library goes by two names, Valkey's and Redis's, and speaks of itself by the one that the script uses.
local function make_library(name)
  local library = {
    LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
    REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
    REDIS_VERSION = host.version, REDIS_VERSION_NUM = host.version_number,
    SERVER_NAME = host.name, VALKEY_VERSION = host.version, VALKEY_VERSION_NUM = host.version_number,
    call = python.as_function(host.call[name]),
    pcall = python.as_function(host.pcall[name]),
    error_reply = field('err'),
    status_reply = field('ok'),
    breakpoint = function() return false end,
    debug = function() end,
    replicate_commands = function() return true end,
  }

  function library.set_repl(...)
    local flags = ...
    if select('#', ...) ~= 1 then refuse(name .. '.set_repl() requires one argument.') end
    flags = tonumber(flags) or 0
    if flags < 0 or flags >= 4 then
      refuse('Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.')
    end
  end

  function library.sha1hex(...)
    if select('#', ...) ~= 1 then refuse('wrong number of arguments') end
    local text = ...
    if type(text) ~= 'string' and type(text) ~= 'number' then text = '' end
    return host.sha1hex(tostring(text))
  end

  function library.log(...)
    local level = ...
    if select('#', ...) < 2 then refuse(name .. '.log() requires two arguments or more.') end
    level = tonumber(level)
    if not level then refuse('First argument must be a number (log level).') end
    if level < 0 or level > 3 then refuse('Invalid log level.') end
    local words = {}
    for at = 2, select('#', ...) do
      local word = select(at, ...)
      if type(word) == 'string' or type(word) == 'number' then words[#words + 1] = word end
    end
    host.log(level, raw.table.concat(words, ' '))
  end

  function library.setresp(...)
    local chosen = math.floor(tonumber((...)) or 0)
    if select('#', ...) ~= 1 then refuse(name .. '.setresp() requires one argument.') end
    if chosen ~= 2 and chosen ~= 3 then refuse('RESP version must be 2 or 3.') end
    version = chosen
    host.setresp(chosen)
  end

  function library.acl_check_cmd(...)
    if select('#', ...) == 0 then refuse('Please specify at least one argument for this call') end
    local allowed = host.may_run(...)
    if allowed == nil then refuse('Invalid command passed to ' .. name .. '.acl_check_cmd()') end
    return allowed
  end

  return library
end

local named = {redis = make_library('redis'), server = make_library('server')}

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

local registered -- what the text of a library has registered so far, while it runs

local function make_registering(name)
  local function named_argument(given, what)
    if type(given) ~= 'string' and type(given) ~= 'number' then
      refuse(what .. ' argument given to ' .. name .. '.register_function must be a string')
    end
    return tostring(given)
  end

  local function read_flags(given)
    if type(given) ~= 'table' then
      refuse('flags argument to ' .. name .. '.register_function must be a table representing function flags')
    end
    local flags = {}
    for _, flag in ipairs(given) do
      if type(flag) ~= 'string' or not host.is_flag(flag:lower()) then refuse('unknown flag given') end
      flags[#flags + 1] = flag:lower()
    end
    return flags
  end

  local function read_named(given)
    if type(given) ~= 'table' then
      refuse('calling ' .. name .. '.register_function with a single argument is only applicable to Lua table '
        .. '(representing named arguments).')
    end
    local found = {flags = {}}
    for key, value in raw.next, given do
      if type(key) ~= 'string' and type(key) ~= 'number' then
        refuse('named argument key given to ' .. name .. '.register_function is not a string')
      end
      key = tostring(key):lower()
      if key == 'function_name' then
        found.name = named_argument(value, key)
      elseif key == 'description' then
        found.description = named_argument(value, key)
      elseif key == 'callback' then
        if type(value) ~= 'function' then
          refuse('callback argument given to ' .. name .. '.register_function must be a function')
        end
        found.callback = value
      elseif key == 'flags' then
        found.flags = read_flags(value)
      else
        refuse('unknown argument given to ' .. name .. '.register_function')
      end
    end
    if not found.name then refuse(name .. '.register_function must get a function name argument') end
    if not found.callback then refuse(name .. '.register_function must get a callback argument') end
    return found
  end

  local function register_function(...)
    local count, first, callback = select('#', ...), ...
    if not registered then refuse(name .. '.register_function can only be called on FUNCTION LOAD command') end
    if count < 1 or count > 2 then refuse('wrong number of arguments to ' .. name .. '.register_function') end
    local found
    if count == 1 then
      found = read_named(first)
    else
      if type(first) ~= 'string' and type(first) ~= 'number' then
        refuse('first argument to ' .. name .. '.register_function must be a string')
      end
      if type(callback) ~= 'function' then
        refuse('second argument to ' .. name .. '.register_function must be a function')
      end
      found = {name = tostring(first), callback = callback, flags = {}}
    end
    found.library = name
    registered[#registered + 1] = found
  end

  local library = {register_function = register_function, log = named[name].log}
  for key, value in raw.pairs(named[name]) do
    if type(value) ~= 'function' and key:sub(1, 5) ~= 'REPL_' then library[key] = value end
  end
  return protect(raw.setmetatable(library, strict))
end

local registering = raw.setmetatable({redis = make_registering('redis'), server = make_registering('server')}, strict)

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

local encode = make_reply(host.format_double)

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
  finish()
  if ok then
    if type(value) == 'string' then return value end
    return encode(value, protocol, version), true
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
  registered = {}
  function_index.__index = registering
  start('@user_function', function_proxy)
  local ok, value = raw.xpcall(f, on_error)
  local found = registered
  registered = nil
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
