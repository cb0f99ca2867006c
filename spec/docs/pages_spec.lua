-- Links, file names and function names in the written pages lead somewhere.

local PAGES = { "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/admin-api.md", "docs/architecture.md",
  "docs/command-line.md", "docs/configuration.md", "docs/expressions.md", "docs/embedding.md", "docs/operations.md", "docs/policy-files.md" }
local FOLDERS = { core = true, lua = true, rules = true, admin = true, cli = true, spec = true, examples = true, docs = true, cmake = true,
  bench = true }

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end

-- The anchor of a heading, as it is made on the usual hosts.
local function anchors(text)
  local found = {}
  for heading in ("\n" .. text):gmatch("\n#+ ([^\n]+)") do
    found[heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
  end
  return found
end

for _, page in ipairs(PAGES) do
  describe(page, function()
    local text = assert(read(page), page)
    local base = page:match("^(.*/)") or ""

    for title, target in text:gmatch("%[([^%]\n]+)%]%(([^)%s]+)%)") do
      it(("has a link to %s that leads somewhere: %s"):format(target, title), function()
        local path, anchor = target:match("^([^#]*)#?(.*)$")
        local file = path == "" and page or (base .. path):gsub("[^/]+/%.%./", "")
        local linked = read(file)
        assert.truthy(linked, file)
        if anchor ~= "" then assert.truthy(anchors(linked)[anchor], "no heading #" .. anchor) end
      end)
    end

    local named = {}
    for path in text:gmatch("`([%w_]+/[%w_./-]*)") do named[path] = true end
    for path in pairs(named) do
      if FOLDERS[path:match("^[^/]+")] then
        it("names a file that exists: " .. path, function() assert.is_true(exists((path:gsub("/$", "")))) end)
      end
    end

    it("speaks of no path of somebody's machine", function()
      for _, word in ipairs { "/home/", "/root/" } do assert.is_nil(text:find(word, 1, true), word) end
    end)
  end)
end

describe("docs/architecture.md", function()
  -- `path/file.c: name, name` names functions of that file.
  for path, names in read("docs/architecture.md"):gmatch("`([%w_/]+%.%w+): ([^`]+)`") do
    for name in names:gmatch("[%w_.:]+") do
      it(("names %s, which is in %s"):format(name, path), function()
        assert.truthy(assert(read(path), path):find(name .. "(", 1, true), name)
      end)
    end
  end

  it("names functions at all", function()
    assert.truthy(read("docs/architecture.md"):find("`core/gate/request_head.c: moon_request_begin`", 1, true))
  end)
end)
