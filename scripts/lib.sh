# Sourced by the other scripts: finds Python, makes .venv, installs; does nothing when all that is done.
set -eu
cd "$(dirname "$0")/.."

python_for_venv() {
  for candidate in "${PYTHON:-}" python3.13 python3.12 python3.11 python3 python; do
    [ -n "$candidate" ] || continue
    command -v "$candidate" >/dev/null 2>&1 || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "catalog_assets needs Python 3.11, 3.12 or 3.13; set PYTHON to one of them" >&2
  exit 2
}

# ensure_venv EXTRAS: installs the project, pinned by constraints.txt, when anything about that changed.
ensure_venv() {
  wanted="$1 $(cksum pyproject.toml constraints.txt)"
  marker=.venv/.installed
  if [ -f "$marker" ] && [ "$(head -n 1 "$marker")" = "dev" ] && [ "$1" = "" ]; then
    wanted="dev $(cksum pyproject.toml constraints.txt)" # a development install serves the demo too
  fi
  if [ -x .venv/bin/python ] && [ -f "$marker" ] && [ "$(tail -n +2 "$marker")" = "$wanted" ]; then
    return
  fi
  [ -x .venv/bin/python ] || "$(python_for_venv)" -m venv .venv
  echo "installing into .venv (about a minute the first time)" >&2
  extras=""
  [ -z "$1" ] || extras="[$1]"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".$extras"
  printf '%s\n%s\n' "$1" "$wanted" >"$marker"
}
