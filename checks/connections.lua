-- Of 200 requests 177 for what is asked most, 20 whether that has changed, 2 for what is asked rarely, and 1 collect; each
-- connection waits in between for so many milliseconds as stand first after "--", on average. Second is how many connections
-- there are: Node accepts one each time that it has answered the others, so that the last would wait for seconds if the first
-- did not begin later.
local pause, connections
local begun = 0

function init(args)
  pause, connections = tonumber(args[1]), tonumber(args[2])
  math.randomseed(1)
end

function delay()
  local wait = math.random(0, 2 * pause)
  if begun == connections then return wait end
  begun = begun + 1
  return wait + 500
end

function request()
  local dice = math.random(200)
  if dice == 1 then return wrk.format("PATCH", "/items/" .. math.random(200)) end
  if dice <= 3 then return wrk.format("GET", "/rare/" .. math.random(100000)) end
  local headers = dice <= 23 and { ["If-None-Match"] = "*" } or nil
  return wrk.format("GET", "/items/" .. math.random(200), headers)
end
