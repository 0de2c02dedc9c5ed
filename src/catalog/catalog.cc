#include "catalog/catalog.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/parser/keyword_helper.hpp"

namespace weir {
namespace {

template <class Map>
std::string Nearest(const Map& map, std::string_view name) {
  std::vector<std::string_view> names;
  for (auto& [key, object] : map) names.push_back(object->name);
  return NearestName(name, names.data(), names.data() + names.size());
}

std::string Hint(const std::string& nearest, const char* otherwise) {
  return nearest.empty() ? otherwise : "Did you mean \"" + nearest + "\"?";
}

}  // namespace

std::optional<size_t> Stream::Find(std::string_view column) const {
  for (size_t i = 0; i < columns.size(); i++) {
    if (duckdb::StringUtil::CIEquals(columns[i].name, std::string(column))) return i;
  }
  return std::nullopt;
}

std::vector<duckdb::LogicalType> Stream::Types() const {
  std::vector<duckdb::LogicalType> types;
  for (auto& column : columns) types.push_back(column.type);
  return types;
}

bool Stream::IsKey(size_t column) const {
  return std::find(primary_key.begin(), primary_key.end(), column) != primary_key.end();
}

void CatalogState::DropStream(const std::string& name) {
  auto found = streams.find(name);
  ASSERT(found != streams.end());
  bool is_new = dropped.emplace(found->second->id.value, found->second).second;
  ASSERT(is_new);  // ids are given out once
  streams.erase(found);
}

std::shared_ptr<const Stream> CatalogState::FindStream(std::string_view name) const {
  auto found = streams.find(Lower(name));
  return found == streams.end() ? nullptr : found->second;
}

std::shared_ptr<const Stream> CatalogState::FindStream(StreamId id) const {
  for (auto& [name, stream] : streams) {
    if (stream->id == id) return stream;
  }
  return nullptr;
}

std::shared_ptr<const View> CatalogState::FindView(std::string_view name) const {
  auto found = views.find(Lower(name));
  return found == views.end() ? nullptr : found->second;
}

std::string CatalogState::NearestRelation(std::string_view name) const {
  std::vector<std::string_view> names;
  for (auto& [key, stream] : streams) names.push_back(stream->name);
  for (auto& [key, view] : views) names.push_back(view->name);
  return NearestName(name, names.data(), names.data() + names.size());
}

std::shared_ptr<const Stream> CatalogState::GetStream(std::string_view name) const {
  if (auto stream = FindStream(name)) return stream;
  throw Error(ErrorCode::kUnknownStream, "there is no stream \"" + std::string(name) + "\"",
              Hint(Nearest(streams, name), "SHOW STREAMS lists those there are."));
}

std::shared_ptr<const Stream> CatalogState::GetTable(std::string_view name) const {
  auto stream = FindStream(name);
  if (stream && stream->IsTable()) return stream;
  std::string hint = "SHOW TABLES lists those there are.";
  if (stream) {
    hint = "\"" + stream->name + "\" is a stream: its events come and never change.";
  } else if (FindView(name)) {
    hint = "\"" + std::string(name) + "\" is a view: it changes with what it reads.";
  } else if (auto nearest = Nearest(streams, name); !nearest.empty()) {
    hint = Hint(nearest, "");
  }
  throw Error(ErrorCode::kUnknownStream, "there is no table \"" + std::string(name) + "\"", hint);
}

std::shared_ptr<const View> CatalogState::GetView(std::string_view name) const {
  if (auto view = FindView(name)) return view;
  throw Error(ErrorCode::kUnknownView, "there is no view \"" + std::string(name) + "\"",
              Hint(Nearest(views, name), "SHOW VIEWS lists those there are."));
}

std::shared_ptr<const Pump> CatalogState::FindPump(std::string_view name) const {
  auto found = pumps.find(Lower(name));
  return found == pumps.end() ? nullptr : found->second;
}

std::shared_ptr<const Pump> CatalogState::GetPump(std::string_view name) const {
  if (auto pump = FindPump(name)) return pump;
  throw Error(ErrorCode::kInvalidRequest, "there is no pump \"" + std::string(name) + "\"",
              Hint(Nearest(pumps, name), "SHOW PUMPS lists those there are."));
}

std::vector<std::shared_ptr<const Pump>> CatalogState::PumpsInto(StreamId stream) const {
  std::vector<std::shared_ptr<const Pump>> into;
  for (auto& [name, pump] : pumps) {
    if (pump->stream == stream) into.push_back(pump);
  }
  return into;
}

KernelSql PumpQuery(const Pump& pump, const Stream& stream) {
  auto quoted = [](const std::string& name) {
    return duckdb::KeywordHelper::WriteQuoted(name, '"');
  };
  size_t given = pump.columns.empty() ? stream.columns.size() : pump.columns.size();
  std::string list, names;
  for (size_t i = 0; i < given; i++) {
    names += (i ? ", c" : "c") + std::to_string(i);
  }
  for (size_t i = 0; i < stream.columns.size(); i++) {
    auto& column = stream.columns[i];
    std::string value = pump.columns.empty() ? "c" + std::to_string(i) : "NULL";
    for (size_t j = 0; j < pump.columns.size(); j++) {
      if (stream.Find(pump.columns[j]) == i) value = "c" + std::to_string(j);
    }
    list += (i ? ", CAST(" : "CAST(") + value + " AS " + column.type.ToString() + ") AS " +
            quoted(column.name);
  }
  return KernelSql("SELECT " + list + " FROM (" + pump.kernel_sql.text + "\n) AS inserted(" +
                   names + ")");
}

namespace {

std::set<uint32_t> IdsIn(const CatalogState& state) {
  std::set<uint32_t> ids;
  for (auto& [name, stream] : state.streams) ids.insert(stream->id.value);
  for (auto& [name, view] : state.views) ids.insert(view->id);
  for (auto& [name, pump] : state.pumps) ids.insert(pump->id);
  ids.erase(0);
  return ids;
}

// After a change: no id may come back, and those that nothing has any more are retired.
void SettleIds(const CatalogState& before, CatalogState& after) {
  ASSERT(after.next_id >= before.next_id);
  auto in_use = IdsIn(after);
  for (uint32_t id : in_use) ASSERT(!after.retired.Contains(id));
  ASSERT(in_use.empty() || *in_use.rbegin() < UINT32_MAX);
  if (!in_use.empty()) after.next_id = std::max(after.next_id, *in_use.rbegin() + 1);
  after.retired = RetiredIds::AllBut(in_use, after.next_id);
  for (auto& [first, last] : before.retired.ranges()) {
    ASSERT(after.retired.Contains(first) && after.retired.Contains(last));
  }
}

void CheckSound(const Stream& stream) {
  for (size_t key : stream.primary_key) ASSERT(key < stream.columns.size());
  ASSERT(!stream.watermark || stream.Find(stream.watermark->column));
  ASSERT(stream.dedup_key.empty() || stream.Find(stream.dedup_key));
}

// What holds of every state that is kept.  LoadCatalog refuses a file of which it does not hold.
void CheckSound(const CatalogState& state) {
  size_t things = state.streams.size() + state.pumps.size();
  for (auto& [name, stream] : state.streams) {
    ASSERT(name == Lower(stream->name) && stream->id.value != 0);
    CheckSound(*stream);
  }
  for (auto& [name, view] : state.views) {
    ASSERT(name == Lower(view->name));
    things += view->id != 0;
  }
  for (auto& [name, pump] : state.pumps) {
    ASSERT(name == Lower(pump->name) && pump->id != 0);
    ASSERT(state.FindStream(pump->stream));
  }
  ASSERT(IdsIn(state).size() == things);  // none has the id of another
  for (auto& [id, stream] : state.dropped) {
    ASSERT(stream->id.value == id && state.retired.Contains(id));
    CheckSound(*stream);
  }
}

}  // namespace

Catalog::Catalog(CatalogStore& store, void (*complete)(CatalogState&)) : store_(store) {
  auto text = store_.Load();
  try {
    auto loaded = std::make_shared<CatalogState>(text.empty() ? CatalogState() : LoadCatalog(text));
    if (complete) complete(*loaded);
    current_ = std::move(loaded);
  } catch (const Error& error) {
    throw Error(ErrorCode::kCorruption, store_.Name() + " is damaged: " + error.message,
                "Restore it from a backup of the data folder; nothing was changed.");
  }
}

CatalogPtr Catalog::Current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

CatalogPtr Catalog::Change(const std::function<void(CatalogState&)>& edit) {
  std::lock_guard change(change_mutex_);
  auto current = Current();
  auto next = std::make_shared<CatalogState>(*current);
  edit(*next);
  return Make(*current, std::move(next));
}

CatalogPtr Catalog::ChangeBeside(const std::function<void(CatalogState&)>& edit) {
  constexpr int kTriesMax = 3;
  for (int tries = 0; tries < kTriesMax; tries++) {
    auto current = Current();
    auto next = std::make_shared<CatalogState>(*current);
    edit(*next);
    std::lock_guard change(change_mutex_);
    if (Current() == current) return Make(*current, std::move(next));
  }
  return Change(edit);
}

// One change at a time.
CatalogPtr Catalog::Make(const CatalogState& current, std::shared_ptr<CatalogState> next) {
  ASSERT(next->version == current.version);
  SettleIds(current, *next);
  CheckSound(*next);
  next->version++;
  std::string text = SaveCatalog(*next);
  ASSERT(!text.empty());  // which would be read as no catalog
  DEBUG_ASSERT(SaveCatalog(LoadCatalog(text)) == text);
  store_.Save(text);
  std::lock_guard lock(mutex_);
  current_ = std::move(next);
  return current_;
}

}  // namespace weir
