// The commands that manage an authority; each prints its result and returns the exit code.
#pragma once

#include <QStringList>

namespace lintel::cli {

int runAuthority(const QStringList &arguments);  // authority init|status|refusals|audit|backup|restore
int runEnroll(const QStringList &arguments);     // enroll
int runDevice(const QStringList &arguments);     // device list|show|history|approve|set|accept-boot|revoke|reattest
int runReference(const QStringList &arguments);  // reference list|set|remove
int runToken(const QStringList &arguments);      // token create
int runBundle(const QStringList &arguments);     // bundle show|set
int runFederation(const QStringList &arguments); // federation list|set|delete|refresh
int runSvid(const QStringList &arguments);       // svid show

} // namespace lintel::cli
