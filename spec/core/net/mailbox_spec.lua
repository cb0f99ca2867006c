local ffi = require "ffi"
local unit = require "spec.support.unit"

local C = unit.load [[
typedef struct uv_loop_s uv_loop_t;
size_t uv_loop_size(void);
int uv_loop_init(uv_loop_t *);
int uv_loop_close(uv_loop_t *);
int uv_run(uv_loop_t *, int mode);
struct moon_link { struct moon_link *next; struct moon_link *previous; };
struct moon_message { struct moon_link link; int kind; void *data; };
struct moon_mailbox;
typedef void (*moon_mailbox_fn)(void *owner, struct moon_message *message);
int moon_mailbox_open(struct moon_mailbox *mailbox, uv_loop_t *loop, moon_mailbox_fn receive, void *owner);
void moon_mailbox_close(struct moon_mailbox *mailbox);
int moon_mailbox_post(struct moon_mailbox *mailbox, struct moon_message *message);
]]
local ECLOSED, EBUSY, MAX = -20008, -20011, 1024

describe("moon_mailbox", function()
  local loop, loop_memory, mailbox, mailbox_memory, received, callback, messages

  local function run_once() C.uv_run(loop, 2) end
  local function close() C.moon_mailbox_close(mailbox) end
  jit.off(run_once)
  jit.off(close)

  local function post(kind)
    local message = ffi.new("struct moon_message[1]")
    message[0].kind = kind
    messages[#messages + 1] = message
    return C.moon_mailbox_post(mailbox, message)
  end

  before_each(function()
    loop_memory, mailbox_memory = ffi.new("char[?]", tonumber(C.uv_loop_size())), ffi.new("uint64_t[512]")
    loop, mailbox = ffi.cast("uv_loop_t *", loop_memory), ffi.cast("struct moon_mailbox *", mailbox_memory)
    received, messages = {}, {}
    callback = ffi.cast("moon_mailbox_fn", function(owner, message)
      assert(owner == ffi.cast("void *", loop))
      received[#received + 1] = message.kind
    end)
    assert.equal(0, C.uv_loop_init(loop))
    assert.equal(0, C.moon_mailbox_open(mailbox, loop, callback, loop))
  end)

  after_each(function()
    run_once()
    assert.equal(0, C.uv_loop_close(loop))
    callback:free()
  end)

  it("hands messages over in order, on the loop", function()
    for i = 1, 5 do assert.equal(0, post(i)) end
    assert.same({}, received)
    run_once()
    assert.same({ 1, 2, 3, 4, 5 }, received)
    post(6)
    run_once()
    assert.equal(6, received[6])
    close()
  end)

  it("refuses what does not fit and has room again once it was emptied", function()
    for i = 1, MAX do assert.equal(0, post(i)) end
    assert.equal(EBUSY, post(MAX + 1))
    run_once()
    assert.equal(MAX, #received)
    assert.equal(0, post(MAX + 2))
    run_once()
    assert.equal(MAX + 2, received[MAX + 1])
    close()
  end)

  it("hands over what waits when it closes, and refuses what comes later", function()
    for i = 1, 3 do post(i) end
    close()
    assert.same({ 1, 2, 3 }, received)
    assert.equal(ECLOSED, post(4))
    run_once()
    assert.same({ 1, 2, 3 }, received)
  end)
end)
