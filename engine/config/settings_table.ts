/** deploy/docs/settings.md, made from the schema so that it cannot be wrong. */
import { about, settingNames, variable } from './settings.ts';

const escape = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

/** The whole document. */
export function settingsTable(): string {
  const rows = settingNames.map((name) => {
    const { default: byDefault, unit, why, secret } = about(name);
    const shown = byDefault === '' ? 'empty' : `\`${String(byDefault)}\``;
    return `| \`${variable(name)}\` | ${escape(unit)}${secret ? ', secret' : ''} | ${shown} | ${escape(why)} |`;
  });
  return `${[
    '# Settings',
    '',
    'Environment variables, read once at start. An empty one counts as not given. Values that cannot be, and values that',
    'contradict each other, refuse to start and name the fix. This table is made from `engine/config/settings.ts`',
    '(`npx vitest run engine/config -u` writes it anew).',
    '',
    '| variable | unit | default | why |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n')}\n`;
}
