-- Sends prepared requests, each once: `wrk … -s wrk.lua URL -- FILE`. FILE holds, for each request, its
-- length in eight digits and its bytes. Past the last one it stops the thread.
local requests, sent = {}, 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  while true do
    local length = file:read(8)
    if not length then break end
    requests[#requests + 1] = file:read(tonumber(length))
  end
  file:close()
end

function request()
  sent = sent + 1
  if sent >= #requests then wrk.thread:stop() end
  return requests[math.min(sent, #requests)]
end
