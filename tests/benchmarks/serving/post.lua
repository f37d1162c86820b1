-- wrk's side of a run: posts the bodies of a file in turn, and prints the figures as one JSON line.
-- It refuses to know which system answers.
--
-- Arguments after `--`: path, key, file with one body a line, mean pause in milliseconds (0: none).
-- With a pause each connection waits for a random time, uniform around the mean, before each
-- request: many such connections make a load of nearly constant rate, whatever the system does.
local requests, turn = {}, 0

function init(arguments)
  local headers = {
    ["Content-Type"] = "application/json",
    ["Authorization"] = "Bearer " .. arguments[2],
  }
  for body in io.lines(arguments[3]) do
    requests[#requests + 1] = wrk.format("POST", arguments[1], headers, body)
  end
  local pause = tonumber(arguments[4])
  if pause > 0 then
    delay = function() return math.random(0, math.floor(2 * pause + 0.5)) end
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p90_ms":%.3f,"p99_ms":%.3f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
