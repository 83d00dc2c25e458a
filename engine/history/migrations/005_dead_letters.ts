/** Commands that could not be applied, beside what became of each. Not for analysts: `detail` holds whole commands. */
export const statements = [
  `CREATE VIEW IF NOT EXISTS gridtick.dead_letters AS
SELECT l.partition AS partition, l.sequence AS sequence, l.\`index\` AS \`index\`, l.at AS at, l.entity AS entity,
  l.command AS command, l.reason AS reason, l.correlation AS correlation, l.detail AS detail,
  if(s.outcome = '', 'open', s.outcome) AS state, s.settled_at AS settled_at, s.settled AS settled
FROM (SELECT * FROM gridtick.audit_events_log FINAL WHERE kind = 'dead_letter') AS l
LEFT JOIN (
  SELECT entity, any(reason) AS outcome, any(at) AS settled_at, any(detail) AS settled
  FROM (SELECT * FROM gridtick.audit_events_log FINAL WHERE kind = 'letter_settled') GROUP BY entity
) AS s ON s.entity = concat('letter/', toString(l.partition), ':', toString(l.sequence), ':', toString(l.\`index\`))`,
];
