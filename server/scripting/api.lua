-- The library that scripts know as `redis` and as `server`: commands, and the little else that a server does for them.
--
-- It goes by two names, Redis's and Valkey's, and speaks of itself by the one that the script uses.

local type, tonumber, tostring, select = type, tonumber, tostring, select
local floor, concat = math.floor, table.concat

-- `host`: the functions of interpreter.py; `refuse`: raises an error with a text; `choose_version`: told in which RESP
-- the script wants replies. Returns what makes the library of a name.
return function(host, refuse, choose_version)
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

  return function(name)
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
      host.log(level, concat(words, ' '))
    end

    function library.setresp(...)
      local chosen = floor(tonumber((...)) or 0)
      if select('#', ...) ~= 1 then refuse(name .. '.setresp() requires one argument.') end
      if chosen ~= 2 and chosen ~= 3 then refuse('RESP version must be 2 or 3.') end
      choose_version(chosen)
    end

    function library.acl_check_cmd(...)
      if select('#', ...) == 0 then refuse('Please specify at least one argument for this call') end
      local allowed = host.may_run(...)
      if allowed == nil then refuse('Invalid command passed to ' .. name .. '.acl_check_cmd()') end
      return allowed
    end

    return library
  end
end
