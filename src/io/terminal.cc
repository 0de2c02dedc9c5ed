#include "io/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace weir {

Terminal TerminalNow() {
  Terminal terminal;
  terminal.is_there = isatty(STDOUT_FILENO);
  winsize size;
  if (terminal.is_there && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = size.ws_col;
    terminal.rows = size.ws_row;
  }
  return terminal;
}

}  // namespace weir
