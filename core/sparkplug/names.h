// Names that Sparkplug B 3.0 itself gives to metrics and properties.
#pragma once

#include <QStringView>

namespace lintel::sparkplug::names {

inline constexpr QStringView kBdSeq = u"bdSeq";                  // section 6.4.19: ties a death to its birth
inline constexpr QStringView kRebirth = u"Node Control/Rebirth"; // section 5.11: Boolean, writable
inline constexpr QStringView kNodeControl = u"Node Control/";    // commands of a node, never measurements
inline constexpr QStringView kDeviceControl = u"Device Control/";
inline constexpr QStringView kLintel = u"Lintel/";  // our own metrics and properties
inline constexpr QStringView kQuality = u"Quality"; // section 6.4.14: Int32, 0, 192 or 500

} // namespace lintel::sparkplug::names
