-- moongate.geo_fields: where the client's address is, for rules: country, city, network. The values come from the operator's MaxMind
-- databases (configuration key `geoip`, core/script/geo.h); without one they are empty, 0 and false.
--
-- Rows of fields.lua's one list. One look-up a request, when a rule first asks.

local M = {}

local EMPTY = {
  asnum = 0, country = "", continent = "", subdivision_1_iso_code = "", subdivision_2_iso_code = "", is_in_european_union = false,
  lat = "", lon = "", city = "", postal_code = "", metro_code = "", region = "", region_code = "", timezone = "",
}

-- Degrees as text, without zeros that say nothing: "38.72", "-9".
local function degrees(number)
  return (("%.4f"):format(number):gsub("0+$", ""):gsub("%.$", ""))
end

local function place_of(found, text)
  local country = text(found.country)
  local function subdivision(view)
    return view.len > 0 and country .. "-" .. text(view) or ""
  end
  return {
    asnum = tonumber(found.asnum),
    country = country,
    continent = text(found.continent),
    subdivision_1_iso_code = subdivision(found.subdivision_1),
    subdivision_2_iso_code = subdivision(found.subdivision_2),
    is_in_european_union = found.in_european_union,
    lat = found.has_location and degrees(found.latitude) or "",
    lon = found.has_location and degrees(found.longitude) or "",
    city = text(found.city),
    postal_code = text(found.postal_code),
    metro_code = found.metro_code > 0 and tostring(tonumber(found.metro_code)) or "",
    region = text(found.region),
    region_code = text(found.subdivision_1),
    timezone = text(found.timezone),
  }
end

--- What finds the place of the present request's client.
---@param facts ffi.cdata*     const struct moon_facts *
---@param bridge moongate.ffi
---@param geo ffi.cdata*|nil   const struct moon_geo *
---@return fun(): table
function M.finder(facts, bridge, geo)
  if not geo then
    return function() return EMPTY end
  end
  local found = bridge.ffi.new("struct moon_geo_facts")
  local function text(view) return view.len > 0 and bridge.ffi.string(view.data, view.len) or "" end
  local serial, place
  return function()
    if serial ~= facts.serial then
      bridge.C.moon_ffi_geo_find(geo, facts.ip, facts.ip_len, found)
      serial, place = facts.serial, place_of(found, text)
    end
    return place
  end
end

local function row(name, type, key, help)
  return { name = name, type = type, geo = function(place) return place[key] end, help = help }
end

---@type { name: string, type: string, help: string, geo: fun(place: table): any }[]
M.list = {
  row("ip.src.asnum", "Integer", "asnum", "The number of the network (AS) of the client's address; 0 when unknown."),
  row("ip.src.country", "String", "country", "The country of the client's address, two letters."),
  row("ip.src.continent", "String", "continent", "The continent: AF AN AS EU NA OC SA."),
  row("ip.src.subdivision_1_iso_code", "String", "subdivision_1_iso_code", 'The first subdivision, as in "PT-11".'),
  row("ip.src.subdivision_2_iso_code", "String", "subdivision_2_iso_code", "The second subdivision, in the same form."),
  row("ip.src.is_in_european_union", "Boolean", "is_in_european_union", "True when the country is in the European Union."),
  row("ip.src.lat", "String", "lat", 'The latitude, as in "38.72".'),
  row("ip.src.lon", "String", "lon", "The longitude, in the same form."),
  row("ip.src.city", "String", "city", "The city, in English."),
  row("ip.src.postal_code", "String", "postal_code", "The postal code."),
  row("ip.src.metro_code", "String", "metro_code", "The metro code (United States only)."),
  row("ip.src.region", "String", "region", "The name of the first subdivision, in English."),
  row("ip.src.region_code", "String", "region_code", "The code of the first subdivision, without the country."),
  row("ip.src.timezone.name", "String", "timezone", 'The time zone, as in "Europe/Lisbon".'),
}

for _, name in ipairs {
  "asnum", "country", "continent", "subdivision_1_iso_code", "subdivision_2_iso_code", "is_in_european_union",
} do
  local type = name == "asnum" and "Integer" or name == "is_in_european_union" and "Boolean" or "String"
  M.list[#M.list + 1] = row("ip.geoip." .. name, type, name, "An older spelling of ip.src." .. name .. ".")
end

return M
