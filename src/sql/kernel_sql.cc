#include "sql/kernel_sql.h"

#include <memory>

#include "base/error.h"

namespace weir {
namespace {

template <class Object>
void Translate(std::map<std::string, std::shared_ptr<const Object>>& objects) {
  for (auto& [name, object] : objects) {
    KernelSql translated(object->query);
    try {
      translated = ToKernelSql(object->query);
    } catch (const Error&) {
    }
    if (translated == object->kernel_sql) continue;
    auto copy = std::make_shared<Object>(*object);
    copy->kernel_sql = std::move(translated);
    object = std::move(copy);
  }
}

}  // namespace

KernelSql ToKernelSql(const std::string& written, const QueryPlace& place) {
  return KernelSql(ExpandWindowFunctions(written, place));
}

void TranslateStored(CatalogState& state) {
  Translate(state.views);
  Translate(state.pumps);
}

}  // namespace weir
