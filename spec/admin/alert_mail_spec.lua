local alert_mail = require "moongate.admin.alert_mail"

describe("moongate.admin.alert_mail", function()
  for _, address in ipairs { "ops@heron.test", "a.b+c@mail.heron.test", "o'neil@heron.test", "x@localhost" } do
    it("takes " .. address, function() assert.is_nil(alert_mail.mistake(address)) end)
  end

  for _, address in ipairs {
    "", "ops", "@heron.test", "ops@", "-t@heron.test", "a@b@c.test", "a@heron..test", "a@heron.test\n", "a b@heron.test",
    "<a@heron.test>", "a@heron.test, b@heron.test", "ä@heron.test", "a@192.0.2.1", ("a"):rep(250) .. "@b.test",
  } do
    it(("does not take %q"):format(address:sub(1, 40)), function() assert.is_string(alert_mail.mistake(address)) end)
  end

  it("writes a message with nothing of others in its head", function()
    local text = alert_mail.message("gate@heron.test", "ops@heron.test",
      { text = "It expires.\r\nBcc: x@y.test", policy_name = "CA\nexpiry", policy_id = "61a0" })
    local head, body = text:match("^(.-\n)\n(.*)$")
    assert.equal("From: gate@heron.test\nTo: ops@heron.test\n", head:match("^[^\n]*\n[^\n]*\n"))
    assert.is_nil(head:find("Bcc", 1, true))
    assert.equal("It expires. Bcc: x@y.test\n\nNotification: CA expiry\nPolicy: 61a0\n", body)
  end)
end)
