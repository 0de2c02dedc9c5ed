#include "query/messages.h"

#include <cstring>
#include <type_traits>

namespace weir {
namespace {

// One description of each message serves both directions: an archive either writes or reads the
// fields it is shown.
class Writer {
 public:
  template <typename T>
  void operator()(const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
    } else {
      Fields(*this, const_cast<T&>(value));
    }
  }
  void operator()(const std::string& value) {
    (*this)(static_cast<uint64_t>(value.size()));
    bytes += value;
  }
  template <typename T>
  void operator()(const std::vector<T>& values) {
    (*this)(static_cast<uint64_t>(values.size()));
    for (auto& value : values) (*this)(value);
  }

  std::string bytes;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  template <typename T>
  void operator()(T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
      std::memcpy(&value, Take(sizeof(value)).data(), sizeof(value));
    } else {
      Fields(*this, value);
    }
  }
  void operator()(std::string& value) {
    uint64_t size = 0;
    (*this)(size);
    value = Take(size);
  }
  template <typename T>
  void operator()(std::vector<T>& values) {
    uint64_t size = 0;
    (*this)(size);
    if (size > left_.size()) Bad();  // every element takes a byte at least
    values.resize(size);
    for (auto& value : values) (*this)(value);
  }
  void End() const {
    if (!left_.empty()) Bad();
  }

 private:
  [[noreturn]] static void Bad() {
    throw Error(ErrorCode::kInvalidData, "a message of a query worker makes no sense");
  }
  std::string_view Take(uint64_t size) {
    if (size > left_.size()) Bad();
    auto taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
  }

  std::string_view left_;
};

template <typename A>
void Fields(A& archive, Offset& offset) {
  archive(offset.value);
}
template <typename A>
void Fields(A& archive, HelloMessage& m) {
  archive(m.readable), archive(m.time_zone), archive(m.memory_bytes), archive(m.threads);
  archive(m.trials);
}
template <typename A>
void Fields(A& archive, QueryMessage& m) {
  archive(m.catalog), archive(m.sql), archive(m.params_json), archive(m.format);
  archive(m.exact), archive(m.expand_views), archive(m.recomputed), archive(m.rows_max),
      archive(m.limit), archive(m.bytes_max);
  archive(m.timeout), archive(m.files);
}
template <typename A>
void Fields(A& archive, TryMessage& m) {
  archive(m.catalog), archive(m.sql), archive(m.stream), archive(m.columns);
}
template <typename A>
void Fields(A& archive, FileRelation& m) {
  archive(m.name), archive(m.path), archive(m.format), archive(m.header), archive(m.delimiter);
}
template <typename A>
void Fields(A& archive, EqualColumn& m) {
  archive(m.column), archive(m.value), archive(m.is_text);
}
template <typename A>
void Fields(A& archive, NeedMessage& m) {
  archive(m.streams), archive(m.views), archive(m.whole), archive(m.columns), archive(m.equals);
}
template <typename A>
void Fields(A& archive, FileData& m) {
  archive(m.path), archive(m.name), archive(m.whole), archive(m.bytes), archive(m.sealed),
      archive(m.seal);
  archive(m.rows), archive(m.first), archive(m.last);
  archive(m.arrived_first), archive(m.arrived_last);
}
template <typename A>
void Fields(A& archive, StreamData& m) {
  archive(m.name), archive(m.landed), archive(m.files);
}
template <typename A>
void Fields(A& archive, ViewData& m) {
  archive(m.name), archive(m.names), archive(m.types), archive(m.rows), archive(m.pieces);
}
template <typename A>
void Fields(A& archive, SegmentInfo& m) {
  archive(m.path), archive(m.first), archive(m.last), archive(m.bytes);
}
template <typename A>
void Fields(A& archive, DataMessage& m) {
  archive(m.at), archive(m.as_of), archive(m.log_time), archive(m.streams);
  archive(m.segments);
  archive(m.views);
}
template <typename A>
void Fields(A& archive, BlockMessage& m) {
  archive(m.names), archive(m.types), archive(m.rows), archive(m.block), archive(m.copies);
}
template <typename A>
void Fields(A& archive, Error& error) {
  archive(error.code), archive(error.message), archive(error.hint);
}

const std::string kMoreRows = "+";  // in place of an error

template <typename T>
std::string ToBytes(const T& message) {
  Writer writer;
  writer(message);
  return std::move(writer.bytes);
}

template <typename T>
void FromBytes(std::string_view bytes, T& message) {
  Reader reader(bytes);
  reader(message);
  reader.End();
}

}  // namespace

std::string Write(const HelloMessage& message) { return ToBytes(message); }
std::string Write(const QueryMessage& message) { return ToBytes(message); }
std::string Write(const TryMessage& message) { return ToBytes(message); }
std::string Write(const NeedMessage& message) { return ToBytes(message); }
std::string Write(const DataMessage& message) { return ToBytes(message); }
std::string Write(const BlockMessage& message) { return ToBytes(message); }
std::string Write(const DoneMessage& message) {
  if (message.error) return ToBytes(*message.error);
  return message.more ? kMoreRows : std::string();
}

void Read(std::string_view bytes, HelloMessage& message) { FromBytes(bytes, message); }
void Read(std::string_view bytes, QueryMessage& message) { FromBytes(bytes, message); }
void Read(std::string_view bytes, TryMessage& message) { FromBytes(bytes, message); }
void Read(std::string_view bytes, NeedMessage& message) { FromBytes(bytes, message); }
void Read(std::string_view bytes, DataMessage& message) { FromBytes(bytes, message); }
void Read(std::string_view bytes, BlockMessage& message) { FromBytes(bytes, message); }
void Read(std::string_view bytes, DoneMessage& message) {
  message.error.reset();
  message.more = bytes == kMoreRows;
  if (bytes.empty() || message.more) return;
  Error error(ErrorCode::kInternal, "");
  FromBytes(bytes, error);
  if (error.code < ErrorCode::kInvalidRequest || error.code > ErrorCode::kInternal) {
    error.code = ErrorCode::kInternal;
  }
  message.error = std::move(error);
}

}  // namespace weir
