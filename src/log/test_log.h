// What the log's tests share: appends that wait for their answer, and reading everything back.
#pragma once

#include <future>
#include <string>
#include <vector>

#include "io/manual_clock.h"
#include "log/log.h"

namespace weir {

inline LogRecord MakeRecord(std::string payload, uint32_t count = 1, std::string meta = "",
                            uint32_t stream = 1) {
  LogRecord record;
  record.stream = {stream};
  record.count = count;
  record.meta = std::move(meta);
  record.payload = std::move(payload);
  return record;
}

inline std::vector<LogRecord> Unit(LogRecord record) {
  std::vector<LogRecord> unit;
  unit.push_back(std::move(record));
  return unit;
}

inline std::future<AppendResult> StartAppend(Log& log, std::vector<LogRecord> records) {
  auto promise = std::make_shared<std::promise<AppendResult>>();
  std::future<AppendResult> answer = promise->get_future();
  log.Append(std::move(records), [promise](const AppendResult& r) { promise->set_value(r); });
  return answer;
}

// Waits; throws what the append failed with.
inline AppendResult AppendAndWait(Log& log, std::vector<LogRecord> records) {
  AppendResult result = StartAppend(log, std::move(records)).get();
  if (result.error) {
    std::rethrow_exception(result.error);
  }
  return result;
}

inline AppendResult AppendAndWait(Log& log, std::string payload) {
  return AppendAndWait(log, Unit(MakeRecord(std::move(payload))));
}

inline std::vector<std::string> Payloads(LogReader& reader) {
  std::vector<std::string> payloads;
  while (auto record = reader.Next()) {
    payloads.push_back(record->record.payload);
  }
  return payloads;
}

inline std::vector<std::string> Payloads(Log& log) { return Payloads(*log.Read(Offset{0})); }

}  // namespace weir
