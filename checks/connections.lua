-- Of 200 requests 177 for what is asked most, 20 whether that has changed, 2 for what is asked rarely, and 1 collect; each
-- connection waits in between for so many milliseconds as stand after "--", on average.
local pause

function init(args)
  pause = tonumber(args[1])
  math.randomseed(1)
end

function delay()
  return math.random(0, 2 * pause)
end

function request()
  local dice = math.random(200)
  if dice == 1 then return wrk.format("PATCH", "/items/" .. math.random(200)) end
  if dice <= 3 then return wrk.format("GET", "/rare/" .. math.random(100000)) end
  local headers = dice <= 23 and { ["If-None-Match"] = "*" } or nil
  return wrk.format("GET", "/items/" .. math.random(200), headers)
end
