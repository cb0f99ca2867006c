-- The rules, in the order in which they are asked. Expressions are those of Cloudflare's custom rules.
return {
  {
    description = "clients of the API have a certificate of ours",
    expression = [[(http.host in {"api.example.com"} and not cf.tls_client_auth.cert_verified)]],
    action = "block",
  },
  {
    description = "the office only",
    expression = [[starts_with(http.request.uri.path, "/admin/") and not ip.src in {127.0.0.0/8 192.0.2.0/24}]],
    action = "block",
  },
  {
    description = "tools that give a false name",
    expression = [[http.user_agent matches r"(?i)^(sqlmap|nikto)\b"]],
    action = "block",
  },
}
