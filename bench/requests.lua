-- What the requests ask for, by what stands after "--":
--   new=NAME     a URI that nobody has asked for yet in each, beneath the path
--   several=N    so many URIs in turn, beneath the path
--   together=N   so many connections begin half a second late, when all are there: Node accepts one each time that it has
--                answered the others, so that under load the last would wait for seconds
local count = 0

local kinds = {
  new = function(name)
    function request()
      count = count + 1
      return wrk.format("GET", wrk.path .. name .. "-" .. count)
    end
  end,
  several = function(most)
    most = tonumber(most)
    function request()
      count = (count + 1) % most
      return wrk.format("GET", wrk.path .. count)
    end
  end,
  together = function(connections)
    local waiting = tonumber(connections)
    function delay()
      if waiting == 0 then return 0 end
      waiting = waiting - 1
      return 500
    end
  end
}

function init(args)
  for _, arg in ipairs(args) do
    local kind, value = arg:match("^(%w+)=(.+)$")
    kinds[kind](value)
  end
end
