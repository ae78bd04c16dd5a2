#include "broker-plugin/plugin_options.h"

#include <algorithm>
#include <array>

namespace lintel::broker {

using namespace Qt::StringLiterals;

Result<PluginOptions> parsePluginOptions(const QList<std::pair<QString, QString>> &options)
{
    struct Key {
        QLatin1StringView name;
        QString PluginOptions::*value;
        bool needed;
    };
    static constexpr std::array keys{Key{"bundles"_L1, &PluginOptions::bundlesDir, true},
                                     Key{"roles"_L1, &PluginOptions::rolesFile, true},
                                     Key{"deny_lists"_L1, &PluginOptions::denyListsDir, false},
                                     Key{"state"_L1, &PluginOptions::stateDir, false},
                                     Key{"status"_L1, &PluginOptions::statusFile, false},
                                     Key{"certificate"_L1, &PluginOptions::certificateFile, false},
                                     Key{"key"_L1, &PluginOptions::keyFile, false}};
    PluginOptions parsed;
    for (const auto &option : options) {
        const QString &name = option.first;
        const auto *key = std::find_if(keys.begin(), keys.end(), [&](const Key &one) { return one.name == name; });
        if (key == keys.end())
            return Error{Errc::Malformed, u"plugin_opt_%1 is not known; take it out of mosquitto.conf."_s.arg(name)};
        parsed.*(key->value) = option.second;
    }
    for (const Key &key : keys)
        if (key.needed && (parsed.*(key.value)).isEmpty())
            return Error{Errc::Malformed, u"plugin_opt_%1 is missing in mosquitto.conf."_s.arg(key.name)};
    if (parsed.certificateFile.isEmpty() != parsed.keyFile.isEmpty())
        return Error{Errc::Malformed, u"plugin_opt_certificate and plugin_opt_key belong together."_s};
    return parsed;
}

} // namespace lintel::broker
