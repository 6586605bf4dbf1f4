-- What there is for the text of a library while it runs: `redis` and `server` with register_function, and little else.

local type, tostring, select, next, pairs, ipairs = type, tostring, select, next, pairs, ipairs

-- `host`: the functions of interpreter.py; `named`: the libraries that scripts use, by name; `refuse`: raises an error
-- with a text. Returns what makes the library of a name; `begin`, after which functions can be registered; and `finish`,
-- which returns those that were.
return function(host, named, refuse)
  local registered -- so far, while a text runs

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
      for key, value in next, given do
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
    for key, value in pairs(named[name]) do
      if type(value) ~= 'function' and key:sub(1, 5) ~= 'REPL_' then library[key] = value end
    end
    return library
  end

  local function begin()
    registered = {}
  end

  local function finish()
    local found = registered
    registered = nil
    return found
  end

  return make_registering, begin, finish
end
