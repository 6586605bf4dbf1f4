-- What a script returns, as RESP. Tables are read raw: no metamethod of the script runs here.

local rawget, type, next, find, format, concat = rawget, type, next, string.find, string.format, table.concat
local DEPTH_MAX = 1000

local function clean(text)
  return find(text, '[\r\n]') and text:gsub('[\r\n]', ' ') or text
end

-- `format_double`: a number's text. Returns what encodes a value in RESP `protocol`, as a script says it that speaks
-- `version`, and what is to be called when that did not come to its end.
return function(format_double)
  local protocol, version -- of what is being encoded
  local out, n -- what it comes to so far, and in how many pieces
  local walk

  local function put(text)
    n = n + 1
    out[n] = text
  end

  local function bulk(text)
    put('$' .. #text .. '\r\n')
    put(text)
    put('\r\n')
  end

  local function pairs_of(t, mark, both)
    local count = 0
    for _ in next, t do count = count + 1 end
    if protocol == 3 then put(mark .. count .. '\r\n') else put('*' .. (both and 2 * count or count) .. '\r\n') end
  end

  local function walk_table(t, depth)
    local err = rawget(t, 'err')
    if type(err) == 'string' then return put('-' .. clean(err) .. '\r\n') end
    local ok = rawget(t, 'ok')
    if type(ok) == 'string' then return put('+' .. clean(ok) .. '\r\n') end
    local double = rawget(t, 'double')
    if type(double) == 'number' then
      local text = double == 0 and 1 / double < 0 and '-0' or format_double(double)
      if protocol == 3 then return put(',' .. text .. '\r\n') end
      return bulk(text)
    end
    local map = rawget(t, 'map')
    if type(map) == 'table' then
      pairs_of(map, '%', true)
      for key, item in next, map do
        walk(key, depth + 1)
        walk(item, depth + 1)
      end
      return
    end
    local set = rawget(t, 'set')
    if type(set) == 'table' then
      pairs_of(set, '~', false)
      for key in next, set do walk(key, depth + 1) end
      return
    end
    local big = rawget(t, 'big_number')
    if type(big) == 'string' then
      if protocol == 3 then return put('(' .. clean(big) .. '\r\n') end
      return bulk(clean(big))
    end
    local verbatim = rawget(t, 'verbatim_string')
    if type(verbatim) == 'table' then
      local text, kind = rawget(verbatim, 'string'), rawget(verbatim, 'format')
      if type(text) == 'string' and type(kind) == 'string' then
        if protocol == 3 then
          kind = (kind .. '   '):sub(1, 3)
          return put('=' .. (#text + 4) .. '\r\n' .. kind .. ':' .. text .. '\r\n')
        end
        return bulk(text)
      end
    end
    local count = 0
    while rawget(t, count + 1) ~= nil do count = count + 1 end
    put('*' .. count .. '\r\n')
    for at = 1, count do walk(rawget(t, at), depth + 1) end
  end

  local function plain(v, kind)
    if kind == 'number' then return format(':%d\r\n', v) end
    if kind == 'boolean' and version == 3 then
      if protocol == 3 then return v and '#t\r\n' or '#f\r\n' end
      return v and ':1\r\n' or ':0\r\n'
    end
    if kind == 'boolean' and v then return ':1\r\n' end
    return protocol == 3 and '_\r\n' or '$-1\r\n'
  end

  function walk(v, depth)
    local kind = type(v)
    if depth > DEPTH_MAX then
      put('-ERR reached lua stack limit\r\n')
    elseif kind == 'string' then
      bulk(v)
    elseif kind == 'table' then
      walk_table(v, depth)
    else
      put(plain(v, kind))
    end
  end

  local function encode(value, given_protocol, given_version)
    local kind = type(value)
    protocol, version = given_protocol, given_version
    if kind ~= 'table' then return plain(value, kind) end
    local ok = rawget(value, 'ok')
    if type(ok) == 'string' and rawget(value, 'err') == nil then return '+' .. clean(ok) .. '\r\n' end
    out, n = {}, 0
    walk(value, 1)
    local encoded = concat(out)
    out = nil
    return encoded
  end

  local function forget()
    out = nil
  end

  return encode, forget
end
