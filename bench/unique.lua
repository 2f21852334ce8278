-- A URI that nobody has asked for yet in each request: what stands after "--" on the command line, and a number.
local prefix, count = "", 0

function init(args)
  prefix = args[1]
end

function request()
  count = count + 1
  return wrk.format("GET", wrk.path .. prefix .. "-" .. count)
end
