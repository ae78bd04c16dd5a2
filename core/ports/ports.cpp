// The meta-objects of the ports that have signals are built here.
#include "ports/identity_source.h"
#include "ports/mqtt_transport.h"
#include "ports/reading_spool.h"
#include "ports/state_store.h"
#include "ports/system_clock.h"
