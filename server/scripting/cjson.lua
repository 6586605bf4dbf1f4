-- cjson: JSON as lua-cjson reads and writes it, error texts included. `null` is one userdata value.
--
-- What a script sets (encode_max_depth and its kin) is as it was when the next one begins: `reset`.

local null = newproxy(true)
local behind = getmetatable(null)
behind.__tostring = function() return 'userdata: (nil)' end
behind.__metatable = false

local function make(fail)
  local type, tostring, next, rawget = type, tostring, next, rawget
  local byte, char, find, format, sub, concat = string.byte, string.char, string.find, string.format, string.sub, table.concat
  local floor = math.floor
  local set = {}
  local changed = true -- by the script

  local function reset()
    if not changed then return end
    changed = false
    set.encode_depth, set.decode_depth, set.precision, set.keep_buffer = 1000, 1000, 14, true
    set.convert, set.ratio, set.safe = false, 2, 10
    set.encode_invalid, set.decode_invalid = false, true
  end

  reset()

  -- writing

  local escapes = {['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n',
                   ['\r'] = '\\r', ['\t'] = '\\t'}
  local function escaped(c)
    return escapes[c] or format('\\u%04x', byte(c))
  end

  local function quoted(text)
    return '"' .. text:gsub('[%c"\\/\127]', escaped) .. '"'
  end

  local function number(value)
    if value ~= value or value == math.huge or value == -math.huge then
      if set.encode_invalid == 'null' then return 'null' end
      if not set.encode_invalid then fail('Cannot serialise number: must not be NaN or Inf') end
      return value ~= value and 'nan' or value > 0 and 'inf' or '-inf'
    end
    return format('%.' .. set.precision .. 'g', value)
  end

  -- The length of an array; nil for what is written as an object.
  local function array_length(t)
    local length, items = 0, 0
    for key in next, t do
      if type(key) ~= 'number' or key <= 0 or floor(key) ~= key then return nil end
      if key > length then length = key end
      items = items + 1
    end
    if set.ratio > 0 and length > items * set.ratio and length > set.safe then
      if set.convert then return nil end
      fail('Cannot serialise table: excessively sparse array')
    end
    return length
  end

  local write

  local function write_table(t, out, depth)
    if depth > set.encode_depth then fail('Cannot serialise, excessive nesting (' .. depth .. ')') end
    local length = array_length(t)
    if length and length > 0 then
      out[#out + 1] = '['
      for at = 1, length do
        if at > 1 then out[#out + 1] = ',' end
        write(rawget(t, at), out, depth)
      end
      out[#out + 1] = ']'
      return
    end
    out[#out + 1] = '{'
    local first = true
    for key, item in next, t do
      local kind = type(key)
      if kind ~= 'string' and kind ~= 'number' then
        fail('Cannot serialise ' .. kind .. ': table key must be a number or string')
      end
      if not first then out[#out + 1] = ',' end
      first = false
      out[#out + 1] = kind == 'string' and quoted(key) or '"' .. number(key) .. '"'
      out[#out + 1] = ':'
      write(item, out, depth)
    end
    out[#out + 1] = '}'
  end

  function write(value, out, depth)
    local kind = type(value)
    if kind == 'string' then
      out[#out + 1] = quoted(value)
    elseif kind == 'number' then
      out[#out + 1] = number(value)
    elseif kind == 'table' then
      write_table(value, out, depth + 1)
    elseif kind == 'boolean' then
      out[#out + 1] = tostring(value)
    elseif value == nil or value == null then
      out[#out + 1] = 'null'
    else
      fail('Cannot serialise ' .. kind .. ': type not supported')
    end
  end

  -- reading

  local names = {['{'] = 'T_OBJ_BEGIN', ['}'] = 'T_OBJ_END', ['['] = 'T_ARR_BEGIN', [']'] = 'T_ARR_END',
                 [','] = 'T_COMMA', [':'] = 'T_COLON'}
  local words = {
    {'true', 'T_BOOLEAN', true}, {'false', 'T_BOOLEAN', false}, {'null', 'T_NULL', null},
  }
  local unescaped = {['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', f = '\f', n = '\n', r = '\r', t = '\t'}

  local function utf8(code)
    if code < 0x80 then return char(code) end
    if code < 0x800 then return char(0xC0 + floor(code / 64), 0x80 + code % 64) end
    if code < 0x10000 then
      return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
    end
    return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64,
                0x80 + code % 64)
  end

  local function reader(text)
    local at = 1

    -- Token name, value, and where it began; an unreadable one has the name of its error.
    local function string_token(start)
      local pieces, from = {}, start + 1
      while true do
        local stop = find(text, '["\\%z]', from) or #text + 1
        pieces[#pieces + 1] = sub(text, from, stop - 1)
        local c = sub(text, stop, stop)
        if c == '"' then
          at = stop + 1
          return 'T_STRING', concat(pieces), start
        elseif c ~= '\\' then
          return 'unexpected end of string', nil, stop
        else
          local kind = sub(text, stop + 1, stop + 1)
          if unescaped[kind] then
            pieces[#pieces + 1] = unescaped[kind]
            from = stop + 2
          elseif kind == 'u' then
            local digits = text:match('^%x%x%x%x', stop + 2)
            if not digits then return 'invalid unicode escape code', nil, stop end
            local code = tonumber(digits, 16)
            from = stop + 6
            if code >= 0xDC00 and code <= 0xDFFF then return 'invalid unicode escape code', nil, stop end
            if code >= 0xD800 and code <= 0xDBFF then
              local low = text:match('^\\u(%x%x%x%x)', from)
              low = low and tonumber(low, 16)
              if not low or low < 0xDC00 or low > 0xDFFF then return 'invalid unicode escape code', nil, stop end
              code = 0x10000 + (code - 0xD800) * 1024 + (low - 0xDC00)
              from = from + 6
            end
            pieces[#pieces + 1] = utf8(code)
          else
            return 'invalid escape code', nil, stop
          end
        end
      end
    end

    local function token()
      at = find(text, '[^ \t\n\r]', at) or #text + 1
      local start = at
      local c = sub(text, start, start)
      if c == '' or c == '\0' then return 'T_END', nil, start end
      if names[c] then
        at = start + 1
        return names[c], nil, start
      end
      if c == '"' then return string_token(start) end
      for _, word in ipairs(words) do
        if sub(text, start, start + #word[1] - 1) == word[1] then
          at = start + #word[1]
          return word[2], word[3], start
        end
      end
      local digits = text:match('^[-+]?0[xX]%x+', start) or text:match('^[-+]?%d+%.?%d*[eE][-+]?%d+', start)
                     or text:match('^[-+]?%d+%.?%d*', start) or text:match('^[-+]%.%d+', start)
      if digits then
        if not set.decode_invalid and digits:find('[xX]') then return 'invalid number', nil, start end
        at = start + #digits
        return 'T_NUMBER', tonumber(digits), start
      end
      local special = set.decode_invalid and text:match('^[-+]?[%a]+', start)
      local lower = special and special:lower()
      if lower == 'nan' or lower == '-nan' then
        at = start + #special
        return 'T_NUMBER', lower == 'nan' and -(0 / 0) or 0 / 0, start -- it is 0 / 0 that has a sign
      elseif lower == 'inf' or lower == 'infinity' or lower == '+inf' or lower == '+infinity' then
        at = start + #special
        return 'T_NUMBER', math.huge, start
      elseif lower == '-inf' or lower == '-infinity' then
        at = start + #special
        return 'T_NUMBER', -math.huge, start
      end
      return (c == '-' or c == '+') and 'invalid number' or 'invalid token', nil, start
    end

    local function expected(what, got, where)
      fail('Expected ' .. what .. ' but found ' .. got .. ' at character ' .. where)
    end

    local value

    local function array(depth)
      local result, count = {}, 0
      local kind, item, where = token()
      if kind == 'T_ARR_END' then return result end
      while true do
        count = count + 1
        result[count] = value(kind, item, where, depth)
        kind, item, where = token()
        if kind == 'T_ARR_END' then return result end
        if kind ~= 'T_COMMA' then expected('comma or array end', kind, where) end
        kind, item, where = token()
      end
    end

    local function object(depth)
      local result = {}
      local kind, key, where = token()
      if kind == 'T_OBJ_END' then return result end
      while true do
        if kind ~= 'T_STRING' then expected('object key string', kind, where) end
        local item
        kind, item, where = token()
        if kind ~= 'T_COLON' then expected('colon', kind, where) end
        kind, item, where = token()
        result[key] = value(kind, item, where, depth)
        kind, key, where = token()
        if kind == 'T_OBJ_END' then return result end
        if kind ~= 'T_COMMA' then expected('comma or object end', kind, where) end
        kind, key, where = token()
      end
    end

    function value(kind, item, where, depth)
      if kind == 'T_STRING' or kind == 'T_NUMBER' or kind == 'T_BOOLEAN' or kind == 'T_NULL' then return item end
      if kind ~= 'T_OBJ_BEGIN' and kind ~= 'T_ARR_BEGIN' then expected('value', kind, where) end
      if depth >= set.decode_depth then
        fail('Found too many nested data structures (' .. depth + 1 .. ') at character ' .. where)
      end
      if kind == 'T_OBJ_BEGIN' then return object(depth + 1) end
      return array(depth + 1)
    end

    if #text > 1 and find(text, '%z') and find(text, '%z') < 3 then
      fail('JSON parser does not support UTF-16 or UTF-32')
    end
    local kind, item, where = token()
    local result = value(kind, item, where, 0)
    kind, item, where = token()
    if kind ~= 'T_END' then expected('the end', kind, where) end
    return result
  end

  local function one(name, ...)
    if select('#', ...) ~= 1 then fail("bad argument #1 to '" .. name .. "' (expected 1 argument)") end
    return ...
  end

  -- settings

  local function refuse(at, name, why)
    fail("bad argument #" .. at .. " to '" .. name .. "' (" .. why .. ')')
  end

  local function check_count(name, most, ...)
    if select('#', ...) > most then refuse(most + 1, name, 'found too many arguments') end
  end

  local function set_integer(name, field, at, given, low, high)
    if given ~= nil then
      local value = tonumber(given)
      if not value then refuse(at, name, 'number expected, got ' .. type(given)) end
      value = value < 0 and math.ceil(value) or floor(value)
      if value < low or value > high then
        refuse(1, name, format('expected integer between %d and %d', low, high))
      end
      set[field], changed = value, true
    end
    return set[field]
  end

  local options = {off = false, on = true, null = 'null'}

  local function set_option(name, field, at, given, with_null)
    if given ~= nil then
      if type(given) ~= 'boolean' then
        if type(given) ~= 'string' and type(given) ~= 'number' then
          refuse(at, name, 'string expected, got ' .. type(given))
        end
        local value = options[given]
        if value == nil or (value == 'null' and not with_null) then
          refuse(at, name, "invalid option '" .. given .. "'")
        end
        given = value
      end
      set[field], changed = given, true
    end
    return set[field]
  end

  local INTEGER_MAX = 2147483647

  local function integer(name, field, low, high)
    return function(...)
      check_count(name, 1, ...)
      return set_integer(name, field, 1, (...), low, high)
    end
  end

  local function option(name, field, with_null)
    return function(...)
      check_count(name, 1, ...)
      return set_option(name, field, 1, (...), with_null)
    end
  end

  local function encode_sparse_array(...)
    local name, convert, ratio, safe = 'encode_sparse_array', ...
    check_count(name, 3, ...)
    return set_option(name, 'convert', 1, convert), set_integer(name, 'ratio', 2, ratio, 0, INTEGER_MAX),
           set_integer(name, 'safe', 3, safe, 0, INTEGER_MAX)
  end

  return {
    encode_keep_buffer = option('encode_keep_buffer', 'keep_buffer'),
    encode_max_depth = integer('encode_max_depth', 'encode_depth', 1, INTEGER_MAX),
    decode_max_depth = integer('decode_max_depth', 'decode_depth', 1, INTEGER_MAX),
    encode_number_precision = integer('encode_number_precision', 'precision', 1, 14),
    encode_invalid_numbers = option('encode_invalid_numbers', 'encode_invalid', true),
    decode_invalid_numbers = option('decode_invalid_numbers', 'decode_invalid'),
    encode_sparse_array = encode_sparse_array,
    new = function() return (make(fail)) end,
    _NAME = 'cjson',
    _VERSION = '2.1.0',
    null = null,
    encode = function(...)
      local out = {}
      write(one('encode', ...), out, 0)
      return concat(out)
    end,
    decode = function(...)
      local text = one('decode', ...)
      if type(text) == 'number' then text = tostring(text) end
      if type(text) ~= 'string' then
        fail("bad argument #1 to 'decode' (string expected, got " .. type(text) .. ')')
      end
      return reader(text)
    end,
  }, reset
end

return make
