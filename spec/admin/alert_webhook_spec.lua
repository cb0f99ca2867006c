local alert_webhook = require "moongate.admin.alert_webhook"
local json = require "moongate.json"

describe("moongate.admin.alert_webhook", function()
  for url, kind in pairs {
    ["https://hooks.heron.test/edge"] = "generic", ["http://192.0.2.1:9000"] = "generic",
    ["https://hooks.slack.com/services/T0/B0/x"] = "slack", ["https://HOOKS.SLACK.COM/x"] = "slack",
    ["https://hooks.slack.com.heron.test/x"] = "generic", ["https://nothooks.slack.com/x"] = "generic",
    ["https://chat.googleapis.com/v1/spaces/x"] = "gchat", ["https://discord.com/api/webhooks/1/x"] = "discord",
    ["https://discordapp.com/api/webhooks/1/x"] = "discord", ["https://open.feishu.cn/open-apis/bot/v2/hook/x"] = "feishu",
    ["https://api.datadoghq.com/api/v1/events"] = "datadog", ["https://api.opsgenie.com/v2/alerts"] = "opsgenie",
    ["https://inputs.heron.splunkcloud.com:8088/x"] = "splunk", ["https://splunk.heron.test:8088/services/collector/event"] = "splunk",
    ["https://heron.test/?x=https://hooks.slack.com/"] = "generic",
  } do
    it("takes " .. url .. " for " .. kind, function() assert.equal(kind, alert_webhook.type_of(url)) end)
  end

  for _, url in ipairs {
    "", "heron.test", "ftp://heron.test/", "https://", "https:///x", "https://:443/", "https://u@heron.test/",
    "https://heron.test/ x", "https://heron.test/\n", "https://herön.test/", "https://heron.test/" .. ("x"):rep(2048),
  } do
    it(("does not take %q"):format(url:sub(1, 40)), function()
      local kind, reason = alert_webhook.type_of(url)
      assert.is_nil(kind)
      assert.is_string(reason)
    end)
  end

  local MESSAGE = { name = "CA expiry", text = "It expires.", data = { certificate_id = "x" } }

  local function request(kind, message, secret)
    return alert_webhook.request({ id = "1", url = "https://a.test/", type = kind, secret = secret }, message or MESSAGE)
  end

  for kind, body in pairs {
    generic = MESSAGE, slack = { text = "It expires." }, gchat = { text = "It expires." },
    discord = { content = "It expires." }, feishu = { msg_type = "text", content = { text = "It expires." } },
    datadog = { title = "CA expiry", text = "It expires." },
    opsgenie = { message = "It expires.", description = "It expires." }, splunk = { event = MESSAGE },
  } do
    it("tells " .. kind .. " in its own form", function() assert.same(body, json.decode(request(kind).body)) end)
  end

  it("cuts a text for services that take only so much, between characters", function()
    local body = json.decode(request("opsgenie", { text = ("x"):rep(129) .. "ö" }).body)
    assert.equal(("x"):rep(129), body.message)
    assert.equal(("x"):rep(129) .. "ö", body.description)
    assert.equal(("x"):rep(128) .. "ö", json.decode(request("opsgenie", { text = ("x"):rep(128) .. "öx" }).body).message)
  end)

  for kind, prefix in pairs {
    generic = "cf-webhook-auth: ", slack = "cf-webhook-auth: ", splunk = "Authorization: Splunk ",
    datadog = "DD-API-KEY: ", opsgenie = "Authorization: GenieKey ",
  } do
    it("hands " .. kind .. " its secret as it wants it, sealed until it goes out", function()
      assert.same({ prefix = prefix, sealed = "sealed text", context = "alert_webhooks:secret:1" },
        request(kind, nil, "sealed text").secret)
      assert.is_nil(request(kind).secret)
    end)
  end
end)
