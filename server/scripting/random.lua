-- math.random and math.randomseed as Redis has them: the generator of drand48, whose numbers hang on the seed alone,
-- so that a script which seeds it draws the same everywhere.
--
-- Who calls has seen to it that the arguments make sense. The state has 48 bits, more than Lua's numbers can multiply:
-- it is kept in halves of 24.

local floor = math.floor
local HALF = 2 ^ 24
local FACTOR_HIGH, FACTOR_LOW, SUMMAND = 0x5DE, 0xECE66D, 0xB
local BELOW = 2 ^ 31 - 1

local high, low

local function seed(number)
  number = (math.modf(number)) % 2 ^ 32
  high = floor(number / 2 ^ 8)
  low = number % 2 ^ 8 * 2 ^ 16 + 0x330E
end

local function draw()
  local product = low * FACTOR_LOW + SUMMAND
  high = (high * FACTOR_LOW + low * FACTOR_HIGH + floor(product / HALF)) % HALF
  low = product % HALF
  return (high * 2 ^ 7 + floor(low / 2 ^ 17)) % BELOW / BELOW
end

return {
  random = function(...)
    local count, from, to = select('#', ...), ...
    if count == 0 then return draw() end
    if count == 1 then from, to = 1, from end
    from, to = floor(from), floor(to)
    return floor(draw() * (to - from + 1)) + from
  end,
  randomseed = seed,
}
