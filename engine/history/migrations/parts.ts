/** What the tables of several migrations share. Released statements are hashed: what is here never changes, only grows. */

export const place = `
  partition UInt16,
  sequence UInt64,
  \`index\` UInt32,
  ingested_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')`;

/** `kept`: how long after it came in a row leaves. */
export const engine = (order: string, month: string, kept = '10 YEAR') => `
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(${month})
ORDER BY (${order}, partition, sequence, \`index\`)
TTL toDateTime(ingested_at, 'UTC') + INTERVAL ${kept}`;

/** An integer column as a decimal of a larger unit, exactly. */
export const decimal = (column: string, scale: number) => `CAST(${column}, 'Decimal(18, ${scale})') / ${10 ** scale}`;
export const nullableDecimal = (column: string, scale: number) =>
  `CAST(${column}, 'Nullable(Decimal(18, ${scale}))') / ${10 ** scale}`;
