// Results for people, on the terminal.

/** 0.123, 1.23, 12.3, 1 234: three digits that count. */
export function formatMs(ms) {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return '–';
  if (ms >= 1000) return ms.toFixed(0);
  return ms.toPrecision(3).replace(/e.*$/, '') === ms.toPrecision(3)
    ? ms.toPrecision(3)
    : ms.toFixed(5);
}

/** 1.23×, 45.6×, 789×. */
export function formatRatio(ratio) {
  if (ratio === null || ratio === undefined) return '–';
  return `${ratio.toFixed(ratio < 10 ? 2 : ratio < 100 ? 1 : 0)}×`;
}

const formatShare = (share) => (share === null ? '–' : `${share.toFixed(0)} %`);

/** Lines of a table; every column but the first is aligned to the right. */
export function formatTable(rows) {
  const widths = rows[0].map((_cell, column) =>
    Math.max(...rows.map((row) => String(row[column] ?? '').length)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0
          ? String(cell).padEnd(widths[column])
          : String(cell ?? '').padStart(widths[column]),
      )
      .join('  ')
      .trimEnd(),
  );
}

/** One line as soon as a case is done. */
export function caseLine(record, idWidth) {
  const peers = Object.entries(record.peers)
    .sort(([, a], [, b]) => a.median_ms - b.median_ms)
    .map(([name, { median_ms: ms }]) => `${name} ${formatMs(ms)}`);
  const native = record.native ? `, in C++ ${formatMs(record.native.median_ms)}` : '';
  const notes = [
    ...Object.entries(record.failed).map(([name, reason]) => `${name} FAILED: ${reason}`),
    ...Object.entries(record.checks).map(([name, reason]) => `${name} DIFFERS: ${reason}`),
    ...Object.entries(record.unsupported)
      .filter(([, reason]) => reason.startsWith('too slow'))
      .map(([name, reason]) => `${name} left out: ${reason}`),
  ];
  return [
    record.id.padEnd(idWidth),
    `${formatMs(record.ours.median_ms)} ms${native}`.padStart(11),
    `${formatShare(record.pct_limit)} of limit`.padStart(14),
    formatRatio(record.ratio_best).padStart(8),
    ` ${peers.join('  ') || '(no peer)'}`,
    ...notes.map((note) => `\n    ${note}`),
  ].join(' ');
}

/** All cases with a column for each peer. */
export function resultTable(cases, peerNames) {
  const header = ['case', 'ours ms', 'min', '% limit', 'best peer', 'ratio', ...peerNames];
  const rows = cases.map((record) => [
    record.id,
    formatMs(record.ours.median_ms),
    formatMs(record.ours.min_ms),
    formatShare(record.pct_limit),
    record.best_peer ?? '–',
    formatRatio(record.ratio_best),
    ...peerNames.map((name) => formatMs(record.peers[name]?.median_ms)),
  ]);
  return formatTable([header, ...rows]).join('\n');
}

/** The probe's peaks. */
export function limitsTable(machine) {
  const header = ['limit', ...machine.peaks.map(({ threads }) => `${threads} thread(s)`)];
  const rows = [
    ['fp32 FMA, GFLOP/s', ...machine.peaks.map(({ fmaGflops }) => fmaGflops.toFixed(0))],
    ...Object.keys(machine.peaks[0].bandwidthGBs).map((level) => [
      `read from ${level}, GB/s`,
      ...machine.peaks.map(({ bandwidthGBs }) => bandwidthGBs[level].toFixed(0)),
    ]),
  ];
  return formatTable([header, ...rows]).join('\n');
}
