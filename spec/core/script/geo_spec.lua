-- The place of an address, out of a real database file.

local unit = require "spec.support.unit"
local mmdb = require "spec.support.mmdb"
local bridge = require "moongate.ffi"

local ffi = bridge.ffi
local C = unit.load [[
  int moon_geo_open(struct moon_geo **out, const struct moon_str *paths, size_t count, struct moon_diag *diag);
  void moon_geo_close(struct moon_geo **geo);
]]

describe("script.geo", function()
  local directory, city, asn

  setup(function()
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute("mkdir " .. directory) == 0)
    city, asn = directory .. "/city.mmdb", directory .. "/asn.mmdb"
    mmdb.write(city, {
      ["192.0.2.0/24"] = {
        country = { iso_code = "PT", is_in_european_union = true }, continent = { code = "EU" },
        subdivisions = { { iso_code = "11", names = { en = "Lisbon" } }, { iso_code = "1106", names = { en = "Lisboa" } } },
        city = { names = { en = "Lisbon" } }, postal = { code = "1000-001" },
        location = { latitude = 38.72, longitude = -9.5, time_zone = "Europe/Lisbon" },
      },
      ["198.51.100.0/25"] = { country = { iso_code = "US" }, location = { metro_code = { uint16 = 501 } } },
      ["2001:db8::/32"] = { country = { iso_code = "NO" }, continent = { code = "EU" } },
    })
    mmdb.write(asn, { ["192.0.0.0/16"] = { autonomous_system_number = 64500 } })
  end)

  teardown(function() os.execute("rm -rf " .. directory) end)

  local function open(paths)
    local views, out, diag = ffi.new("struct moon_str[?]", #paths), ffi.new("struct moon_geo *[1]"), ffi.new("struct moon_diag")
    for i, path in ipairs(paths) do views[i - 1].data, views[i - 1].len = path, #path end
    local rc = C.moon_geo_open(out, views, #paths, diag)
    if rc ~= 0 then return nil, ffi.string(diag.where), ffi.string(diag.text) end
    return ffi.gc(out[0], function(pointer) C.moon_geo_close(ffi.new("struct moon_geo *[1]", pointer)) end)
  end

  local function fields_of(geo, address)
    local facts = ffi.new("struct moon_facts")
    local bytes = assert(require("moongate.rules.ip").parse(address))
    ffi.copy(facts.ip, bytes, #bytes)
    facts.ip_len, facts.serial = #bytes, 1
    local schema = require("moongate.fields").bind(facts, geo)
    return function(name) return schema.fields[name].access() end
  end

  it("gives every field of an address that is known", function()
    local get = fields_of(open { city, asn }, "192.0.2.77")
    for name, expected in pairs {
      ["ip.src.country"] = "PT", ["ip.src.continent"] = "EU", ["ip.src.subdivision_1_iso_code"] = "PT-11",
      ["ip.src.subdivision_2_iso_code"] = "PT-1106", ["ip.src.is_in_european_union"] = true, ["ip.src.lat"] = "38.72",
      ["ip.src.lon"] = "-9.5", ["ip.src.city"] = "Lisbon", ["ip.src.postal_code"] = "1000-001", ["ip.src.metro_code"] = "",
      ["ip.src.region"] = "Lisbon", ["ip.src.region_code"] = "11", ["ip.src.timezone.name"] = "Europe/Lisbon", ["ip.src.asnum"] = 64500,
      ["ip.geoip.country"] = "PT", ["ip.geoip.asnum"] = 64500, ["ip.geoip.is_in_european_union"] = true,
    } do
      assert.equal(expected, get(name), name)
    end
    assert.equal("501", fields_of(open { city }, "198.51.100.1")("ip.src.metro_code"))
    assert.equal("NO", fields_of(open { city }, "2001:db8::1")("ip.src.country"))
  end)

  it("gives empty values for an address that is not known, and without a database", function()
    for _, geo in ipairs { open { city, asn }, false } do
      local get = fields_of(geo or nil, "203.0.113.1")
      assert.equal("", get "ip.src.country")
      assert.equal("", get "ip.src.lat")
      assert.equal(0, get "ip.src.asnum")
      assert.is_false(get "ip.src.is_in_european_union")
    end
  end)

  it("refuses a file that is no database, and one too many, by name", function()
    local broken = directory .. "/broken.mmdb"
    local file = assert(io.open(broken, "wb"))
    file:write(("no database "):rep(100))
    file:close()
    local geo, where = open { city, broken }
    assert.is_nil(geo)
    assert.equal(broken, where)
    local _, _, text = open { city, city, city, city, city }
    assert.truthy(text:find("at most 4"))
  end)
end)
