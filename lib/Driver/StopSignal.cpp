//===- StopSignal.cpp - SIGTERM and SIGINT as a question, not an end -----------------===//
#include "StopSignal.h"

using namespace nibble;

static volatile std::sig_atomic_t signalNumber = 0;

static void note(int number) { signalNumber = number; }

const volatile std::sig_atomic_t &StopSignal::received() { return signalNumber; }

StopSignal::StopSignal() {
  signalNumber = 0;
  struct sigaction action{};
  action.sa_handler = note;
  // A write that is under way goes on; the second signal finds the default action.
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  sigaction(SIGTERM, &action, &oldTerminate);
  sigaction(SIGINT, &action, &oldInterrupt);
  // Who ignored a signal (nohup, a background job) goes on ignoring it.
  if (oldInterrupt.sa_handler == SIG_IGN)
    sigaction(SIGINT, &oldInterrupt, nullptr);
  if (oldTerminate.sa_handler == SIG_IGN)
    sigaction(SIGTERM, &oldTerminate, nullptr);
}

StopSignal::~StopSignal() {
  sigaction(SIGTERM, &oldTerminate, nullptr);
  sigaction(SIGINT, &oldInterrupt, nullptr);
}
