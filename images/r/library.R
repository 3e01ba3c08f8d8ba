
# Packages of one's own lie in the home, which outlives the environment; R asks before it makes that folder, and fails where nobody can be asked.
local({
  own <- Sys.getenv("R_LIBS_USER")
  if (nzchar(own) && Sys.getenv("HOME") != "/root") {
    dir.create(path.expand(own), recursive = TRUE, showWarnings = FALSE)
    .libPaths(c(path.expand(own), .libPaths()))
  }
})
