#pragma once
#include <string>

namespace weir {
struct VerifyOptions {
  std::string url, view;
};
// 0: all equal; 4: some view differs.
int RunVerify(const VerifyOptions& options);
}  // namespace weir
