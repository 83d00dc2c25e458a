/** What several processes expose, as one exposition: every sample gets the name of its process. */

interface Family {
  head: string[];
  samples: string[];
}

/**
 * Joins expositions in the text format 0.0.4. The samples of a metric stay together under one HELP and TYPE, as the format
 * asks for, whichever processes have it.
 */
export function gathered(expositions: Iterable<readonly [process: string, text: string]>): string {
  const families = new Map<string, Family>();
  for (const [process, text] of expositions) {
    let family: Family | undefined;
    let heard = false;
    for (const line of text.split('\n')) {
      const [, word, name] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
      if (name !== undefined) {
        if (word === 'HELP') heard = families.has(name);
        family = families.get(name);
        if (!family) families.set(name, (family = { head: [], samples: [] }));
        if (!heard) family.head.push(line);
      } else if (line !== '' && !line.startsWith('#')) family?.samples.push(labelled(line, process));
    }
  }
  const lines = [...families.values()].flatMap(({ head, samples }) => [...head, ...samples]);
  return `${lines.join('\n')}\n`;
}

/** `name{a="b"} 1` and `name 1` with the label `process` in front. */
function labelled(sample: string, process: string): string {
  const end = /[{ ]/.exec(sample)?.index ?? sample.length;
  const label = `process="${process}"`;
  return sample[end] === '{'
    ? `${sample.slice(0, end)}{${label},${sample.slice(end + 1)}`
    : `${sample.slice(0, end)}{${label}}${sample.slice(end)}`;
}
