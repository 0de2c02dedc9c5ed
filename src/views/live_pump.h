// One pump as it is kept: the end of its query in the circuit, and its rows' way into the log.
//
// The engine thread (or, while it is filled, the filler) owns all but `outbox`, which is
// thread-safe, and what stands under the mutex of Kept.
#pragma once

#include <memory>

#include "flow/circuit.h"
#include "views/kept.h"
#include "views/outbox.h"

namespace weir {

struct LivePump : Kept {
  Definition<Pump> definition;
  // Set once, before others see it.
  std::shared_ptr<const Stream> stream;
  std::shared_ptr<Outbox> outbox;

  EmitOperator* emit = nullptr;
  InputMark emitted;  // what the query said up to here is in the log or in the outbox

  size_t state_bytes = 0;  // under `mutex`, too
};
using LivePumpPtr = std::shared_ptr<LivePump>;

}  // namespace weir
