local duties = require "moongate.admin.duties"

describe("moongate.admin.duties", function()
  local running, log, tasks

  before_each(function()
    log, tasks = {}, {}
    running = {
      control = { clock = 1000 },
      log = function(level, text) log[#log + 1] = level .. " " .. text end,
    }
    function running.control.now() return running.control.clock end
    function running.control.task(work)
      local task = coroutine.create(work)
      tasks[#tasks + 1] = task
      assert(coroutine.resume(task))
    end
  end)

  local function set(run)
    local times = {}
    local one = duties.new({ { name = "a duty", first = 5, every = 60, run = function(given)
      assert.equal(running, given)
      times[#times + 1] = running.control.clock
      if run then run() end
    end } }, running)
    local function tick(at)
      running.control.clock = at
      one:tick()
      return times
    end
    return tick
  end

  it("begin after their first wait, and then every so often", function()
    local tick = set()
    for _, at in ipairs { 1000, 1004, 1005, 1006, 1064, 1065, 1066, 1300, 1301 } do tick(at) end
    assert.same({ 1005, 1065, 1300 }, tick(1302))
  end)

  it("are not begun again while they wait", function()
    local tick = set(function() coroutine.yield() end)
    tick(1005)
    assert.same({ 1005 }, tick(1100))
    assert(coroutine.resume(tasks[1]))
    assert.same({ 1005, 1101 }, tick(1101))
  end)

  it("that fail are told to the log, and begun again in time", function()
    local tick = set(function() error("no luck") end)
    tick(1005)
    assert.same({ 1005, 1065 }, tick(1065))
    assert.equal(2, #log)
    assert.matches("^error a duty failed: .*no luck", log[1])
  end)

  it("do not wait for a clock that was set back", function()
    local tick = set()
    tick(1005)
    assert.same({ 1005, 10 }, tick(10))
  end)
end)
