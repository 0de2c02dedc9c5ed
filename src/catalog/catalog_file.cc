// The catalog as JSON: one object, written and read with yyjson.
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>

#include "base/error.h"
#include "catalog/catalog.h"
#include "duckdb/common/string_util.hpp"
#include "duckdb/common/types.hpp"
#include "yyjson.hpp"

namespace weir {
namespace {

using namespace duckdb_yyjson;  // NOLINT: a C library in a namespace

constexpr int kFormat = 1;

// ---- writing ------------------------------------------------------------------------------------

class Writer {
 public:
  Writer() : document_(yyjson_mut_doc_new(nullptr)) {}
  ~Writer() { yyjson_mut_doc_free(document_); }

  std::string Write(const CatalogState& state) {
    auto* root = yyjson_mut_obj(document_);
    yyjson_mut_doc_set_root(document_, root);
    Number(root, "format", kFormat);
    Number(root, "version", state.version);
    Number(root, "next_id", state.next_id);
    auto* retired = yyjson_mut_obj_add_arr(document_, root, "retired_ids");
    for (auto& [first, last] : state.retired.ranges()) {
      auto* range = yyjson_mut_arr_add_arr(document_, retired);
      Must(yyjson_mut_arr_add_uint(document_, range, first));
      Must(yyjson_mut_arr_add_uint(document_, range, last));
    }
    Text(root, "log", state.log);
    Text(root, "time_zone", state.time_zone);
    auto* streams = yyjson_mut_obj_add_arr(document_, root, "streams");
    for (auto& [name, stream] : state.streams)
      Must(yyjson_mut_arr_append(streams, Object(*stream)));
    auto* views = yyjson_mut_obj_add_arr(document_, root, "views");
    for (auto& [name, view] : state.views) Must(yyjson_mut_arr_append(views, Object(*view)));
    auto* pumps = yyjson_mut_obj_add_arr(document_, root, "pumps");
    for (auto& [name, pump] : state.pumps) Must(yyjson_mut_arr_append(pumps, Object(*pump)));
    auto* dropped = yyjson_mut_obj_add_arr(document_, root, "dropped");
    for (auto& [id, stream] : state.dropped) Must(yyjson_mut_arr_append(dropped, Object(*stream)));
    size_t size = 0;
    yyjson_write_err failure{};
    std::unique_ptr<char, decltype(&free)> text(
        yyjson_mut_write_opts(document_, YYJSON_WRITE_PRETTY, nullptr, &size, &failure), free);
    if (failure.code == YYJSON_WRITE_ERROR_INVALID_STRING) {
      throw Error(ErrorCode::kInvalidRequest, "the catalog cannot have a text that is no UTF-8",
                  "Look at names, comments and what stands between them; send it as UTF-8.");
    }
    if (!text) throw std::bad_alloc();
    return std::string(text.get(), size);
  }

 private:
  // What there is no memory for would be missing in the file.
  static void Must(bool added) {
    if (!added) throw std::bad_alloc();
  }
  void Text(yyjson_mut_val* object, const char* key, const std::string& text) {
    Must(yyjson_mut_obj_add_strncpy(document_, object, key, text.data(), text.size()));
  }
  void Number(yyjson_mut_val* object, const char* key, uint64_t number) {
    Must(yyjson_mut_obj_add_uint(document_, object, key, number));
  }
  void Bool(yyjson_mut_val* object, const char* key, bool value) {
    Must(yyjson_mut_obj_add_bool(document_, object, key, value));
  }

  yyjson_mut_val* Object(const Stream& stream) {
    auto* object = yyjson_mut_obj(document_);
    Number(object, "id", stream.id.value);
    Text(object, "name", stream.name);
    Text(object, "sql", stream.sql);
    Text(object, "comment", stream.comment);
    Bool(object, "from_project", stream.from_project);
    Bool(object, "derived", stream.derived);
    Bool(object, "reject_unknown_fields", stream.unknown_fields == UnknownFields::kReject);
    Text(object, "dedup_key", stream.dedup_key);
    Number(object, "dedup_window", static_cast<uint64_t>(stream.dedup_window));
    if (stream.watermark) {
      Text(object, "watermark_column", stream.watermark->column);
      Number(object, "watermark_delay", static_cast<uint64_t>(stream.watermark->delay));
      if (auto idle = stream.watermark->idle_timeout) {
        Number(object, "watermark_idle_timeout", static_cast<uint64_t>(*idle));
      } else {
        Bool(object, "watermark_never_idle", true);
      }
    }
    if (stream.IsTable()) {
      auto* key = yyjson_mut_obj_add_arr(document_, object, "primary_key");
      for (size_t column : stream.primary_key) {
        Must(yyjson_mut_arr_add_uint(document_, key, column));
      }
    }
    if (stream.reference) {
      Text(object, "source", stream.reference->path);
      Number(object, "refresh", static_cast<uint64_t>(stream.reference->refresh));
    }
    auto* columns = yyjson_mut_obj_add_arr(document_, object, "columns");
    for (auto& column : stream.columns) {
      auto* entry = yyjson_mut_arr_add_obj(document_, columns);
      Text(entry, "name", column.name);
      Text(entry, "type", column.type.ToString());
      Bool(entry, "not_null", column.not_null);
      Number(entry, "epoch", static_cast<uint64_t>(column.epoch));
    }
    return object;
  }

  void Query(yyjson_mut_val* object, const std::string& written, const KernelSql& kernel_sql) {
    Text(object, "query", written);
    if (kernel_sql.text != written) Text(object, "kernel_sql", kernel_sql.text);
  }

  yyjson_mut_val* Object(const View& view) {
    auto* object = yyjson_mut_obj(document_);
    Number(object, "id", view.id);
    Text(object, "name", view.name);
    Query(object, view.query, view.kernel_sql);
    if (!view.spelled_out.empty()) Text(object, "spelled_out", view.spelled_out.text);
    if (view.on_window_close) Bool(object, "on_window_close", true);
    if (view.allowed_lateness) {
      Number(object, "allowed_lateness", static_cast<uint64_t>(*view.allowed_lateness));
    }
    if (!view.late_of.empty()) Text(object, "late_of", view.late_of);
    Text(object, "sql", view.sql);
    Text(object, "comment", view.comment);
    Bool(object, "materialized", view.materialized);
    Bool(object, "from_project", view.from_project);
    return object;
  }

  yyjson_mut_val* Object(const Pump& pump) {
    auto* object = yyjson_mut_obj(document_);
    Number(object, "id", pump.id);
    Text(object, "name", pump.name);
    Number(object, "stream", pump.stream.value);
    auto* columns = yyjson_mut_obj_add_arr(document_, object, "columns");
    for (auto& column : pump.columns) {
      Must(yyjson_mut_arr_add_strncpy(document_, columns, column.data(), column.size()));
    }
    Query(object, pump.query, pump.kernel_sql);
    if (pump.start) {
      Number(object, "start_offset", pump.start->offset.value);
      Number(object, "start_clock", static_cast<uint64_t>(pump.start->clock));
      Number(object, "start_log_time", static_cast<uint64_t>(pump.start->log_time));
    }
    Text(object, "sql", pump.sql);
    Text(object, "comment", pump.comment);
    Bool(object, "from_project", pump.from_project);
    return object;
  }

  yyjson_mut_doc* document_;
};

// ---- reading ------------------------------------------------------------------------------------

[[noreturn]] void Damaged(const std::string& what) { throw Error(ErrorCode::kCorruption, what); }

yyjson_val* Get(yyjson_val* object, const char* key) {
  auto* value = yyjson_obj_get(object, key);
  if (!value) Damaged(std::string("\"") + key + "\" is missing");
  return value;
}
std::string Text(yyjson_val* object, const char* key) {
  auto* value = Get(object, key);
  if (!yyjson_is_str(value)) Damaged(std::string("\"") + key + "\" is no text");
  return std::string(yyjson_get_str(value), yyjson_get_len(value));
}
uint64_t Number(yyjson_val* object, const char* key) {
  auto* value = Get(object, key);
  if (!yyjson_is_uint(value)) Damaged(std::string("\"") + key + "\" is no number");
  return yyjson_get_uint(value);
}
bool Bool(yyjson_val* object, const char* key) { return yyjson_get_bool(Get(object, key)); }
std::optional<Micros> MaybeMicros(yyjson_val* object, const char* key) {
  if (!yyjson_obj_get(object, key)) return std::nullopt;
  return static_cast<Micros>(Number(object, key));
}

uint32_t Id(yyjson_val* object, const char* key) {
  uint64_t id = Number(object, key);
  if (id > UINT32_MAX) Damaged(std::string("\"") + key + "\" is out of range");
  return static_cast<uint32_t>(id);
}

// Notes an id that something has: below `next`, and of nothing else.
void Take(std::set<uint32_t>& ids, uint32_t id, uint32_t next, const std::string& name) {
  if (id == 0 || id >= next) {
    Damaged("\"" + name + "\" has the id " + std::to_string(id) + ", which was never given out");
  }
  if (!ids.insert(id).second) Damaged("two things have the id " + std::to_string(id));
}

// Every id below next_id belongs to something or is retired; files of earlier versions do not
// say which are retired, so those are all that nothing has.
RetiredIds ReadRetired(yyjson_val* list, const std::set<uint32_t>& in_use, uint32_t next) {
  auto expected = RetiredIds::AllBut(in_use, next);
  if (!list) return expected;
  RetiredIds retired;
  size_t index, count;
  yyjson_val* range;
  yyjson_arr_foreach(list, index, count, range) {
    uint64_t first = yyjson_get_uint(yyjson_arr_get(range, 0));
    uint64_t last = yyjson_get_uint(yyjson_arr_get(range, 1));
    if (first == 0 || first > last || last >= next)
      Damaged("a range of retired ids makes no sense");
    retired.Add(static_cast<uint32_t>(first), static_cast<uint32_t>(last));
  }
  for (uint32_t id : in_use) {
    if (retired.Contains(id)) Damaged("the id " + std::to_string(id) + " is retired and in use");
  }
  if (!(retired == expected)) Damaged("something that it had is missing");
  return retired;
}

std::shared_ptr<const Stream> ReadStream(yyjson_val* object) {
  auto stream = std::make_shared<Stream>();
  stream->id.value = Id(object, "id");
  stream->name = Text(object, "name");
  stream->sql = Text(object, "sql");
  stream->comment = Text(object, "comment");
  stream->from_project = Bool(object, "from_project");
  stream->derived = yyjson_get_bool(yyjson_obj_get(object, "derived"));  // absent before pumps were
  if (Bool(object, "reject_unknown_fields")) stream->unknown_fields = UnknownFields::kReject;
  stream->dedup_key = Text(object, "dedup_key");
  stream->dedup_window = static_cast<Micros>(Number(object, "dedup_window"));
  if (yyjson_obj_get(object, "watermark_column")) {
    Watermark watermark{Text(object, "watermark_column"),
                        static_cast<Micros>(Number(object, "watermark_delay"))};
    if (auto idle = MaybeMicros(object, "watermark_idle_timeout")) watermark.idle_timeout = idle;
    if (yyjson_obj_get(object, "watermark_never_idle")) watermark.idle_timeout.reset();
    stream->watermark = watermark;
  }
  size_t index, count;
  yyjson_val* entry;
  yyjson_arr_foreach(Get(object, "columns"), index, count, entry) {
    Column column;
    column.name = Text(entry, "name");
    column.type = ParseColumnType(Text(entry, "type"));
    column.not_null = Bool(entry, "not_null");
    column.epoch = static_cast<EpochUnit>(Number(entry, "epoch"));
    stream->columns.push_back(std::move(column));
  }
  if (auto* key = yyjson_obj_get(object, "primary_key")) {
    yyjson_arr_foreach(key, index, count, entry) {
      size_t column = yyjson_get_uint(entry);
      if (column >= stream->columns.size()) Damaged("a primary key of no column");
      stream->primary_key.push_back(column);
    }
  }
  if (stream->watermark && !stream->Find(stream->watermark->column)) {
    Damaged("a watermark of no column");
  }
  if (!stream->dedup_key.empty() && !stream->Find(stream->dedup_key)) {
    Damaged("a dedup key of no column");
  }
  if (yyjson_obj_get(object, "source")) {
    stream->reference =
        ReferenceFile{Text(object, "source"), static_cast<Micros>(Number(object, "refresh"))};
  }
  return stream;
}

KernelSql ReadKernelSql(yyjson_val* object, const std::string& written) {
  return KernelSql(yyjson_obj_get(object, "kernel_sql") ? Text(object, "kernel_sql") : written);
}

std::shared_ptr<const View> ReadView(yyjson_val* object) {
  auto view = std::make_shared<View>();
  view->id = Id(object, "id");
  view->name = Text(object, "name");
  view->query = Text(object, "query");
  view->kernel_sql = ReadKernelSql(object, view->query);
  if (yyjson_obj_get(object, "spelled_out")) {
    view->spelled_out = KernelSql(Text(object, "spelled_out"));
  }
  view->on_window_close = yyjson_obj_get(object, "on_window_close") != nullptr;
  view->allowed_lateness = MaybeMicros(object, "allowed_lateness");
  if (yyjson_obj_get(object, "late_of")) view->late_of = Text(object, "late_of");
  view->sql = Text(object, "sql");
  view->comment = Text(object, "comment");
  view->materialized = Bool(object, "materialized");
  view->from_project = Bool(object, "from_project");
  return view;
}

std::shared_ptr<const Pump> ReadPump(yyjson_val* object) {
  auto pump = std::make_shared<Pump>();
  pump->id = Id(object, "id");
  pump->name = Text(object, "name");
  pump->stream.value = Id(object, "stream");
  size_t index, count;
  yyjson_val* entry;
  yyjson_arr_foreach(Get(object, "columns"), index, count, entry) {
    if (!yyjson_is_str(entry)) Damaged("a column of a pump is no text");
    pump->columns.emplace_back(yyjson_get_str(entry), yyjson_get_len(entry));
  }
  pump->query = Text(object, "query");
  pump->kernel_sql = ReadKernelSql(object, pump->query);
  if (yyjson_obj_get(object, "start_offset")) {
    pump->start = Pump::Start{Offset{Number(object, "start_offset")},
                              static_cast<Micros>(Number(object, "start_clock")),
                              MaybeMicros(object, "start_log_time").value_or(0)};
  }
  pump->sql = Text(object, "sql");
  pump->comment = Text(object, "comment");
  pump->from_project = Bool(object, "from_project");
  return pump;
}

}  // namespace

std::string SaveCatalog(const CatalogState& state) { return Writer().Write(state); }

CatalogState LoadCatalog(const std::string& text) {
  std::unique_ptr<yyjson_doc, decltype(&yyjson_doc_free)> document(
      yyjson_read(text.data(), text.size(), 0), yyjson_doc_free);
  if (!document) Damaged("it is no JSON");
  auto* root = yyjson_doc_get_root(document.get());
  if (Number(root, "format") != kFormat) {
    Damaged("it is of another version of Weir");
  }
  CatalogState state;
  state.version = Number(root, "version");
  state.next_id = Id(root, "next_id");
  state.time_zone = Text(root, "time_zone");
  if (yyjson_obj_get(root, "log")) state.log = Text(root, "log");
  std::set<uint32_t> ids;
  size_t index, count;
  yyjson_val* entry;
  yyjson_arr_foreach(Get(root, "streams"), index, count, entry) {
    auto stream = ReadStream(entry);
    Take(ids, stream->id.value, state.next_id, stream->name);
    if (!state.streams.emplace(duckdb::StringUtil::Lower(stream->name), stream).second) {
      Damaged("there are two streams \"" + stream->name + "\"");
    }
  }
  yyjson_arr_foreach(Get(root, "views"), index, count, entry) {
    auto view = ReadView(entry);
    if (view->id != 0) Take(ids, view->id, state.next_id, view->name);  // 0: made for one query
    state.views[duckdb::StringUtil::Lower(view->name)] = view;
  }
  yyjson_arr_foreach(yyjson_obj_get(root, "pumps"), index, count, entry) {
    auto pump = ReadPump(entry);
    Take(ids, pump->id, state.next_id, pump->name);
    if (!state.FindStream(pump->stream)) Damaged("a pump feeds no stream");
    state.pumps[duckdb::StringUtil::Lower(pump->name)] = pump;
  }
  state.retired = ReadRetired(yyjson_obj_get(root, "retired_ids"), ids, state.next_id);
  yyjson_arr_foreach(yyjson_obj_get(root, "dropped"), index, count, entry) {
    auto stream = ReadStream(entry);
    if (!state.retired.Contains(stream->id.value)) Damaged("what was dropped is still there");
    state.dropped[stream->id.value] = stream;
  }
  return state;
}

}  // namespace weir
