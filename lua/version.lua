--- moongate.version — the version of this source tree, for `moongate version` and for diagnostics.

return "0.1.0"
