-- As many URIs as stand after "--" on the command line, one after another.
local most, count = 1, 0

function init(args)
  most = tonumber(args[1])
end

function request()
  count = (count + 1) % most
  return wrk.format("GET", wrk.path .. count)
end
