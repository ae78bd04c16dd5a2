// A database whose pages a bad disk has spoilt.
#pragma once

#include <QFile>

namespace lintel::test {

/// Spoils the pages in which batches lie, wherever they are; how many. The database must be closed.
inline int spoilBatchPages(const QString &path)
{
    constexpr qsizetype kPage = 4096;
    constexpr char kLeafOfATable = 0x0d;
    QFile file(path);
    if (!file.open(QIODevice::ReadWrite))
        return 0;
    const QByteArray content = file.readAll();
    int spoilt = 0;
    for (qsizetype page = kPage; page + kPage <= content.size(); page += kPage) {
        if (content[page] != kLeafOfATable || !content.mid(page, kPage).contains("air_temp"))
            continue;
        const QByteArray rubbish(200, '\xee');
        if (file.seek(page + 1) && file.write(rubbish) == rubbish.size())
            ++spoilt;
    }
    return spoilt;
}

} // namespace lintel::test
