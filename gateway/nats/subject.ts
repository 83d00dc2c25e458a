/** Subjects of requests: `in.<integrator>.<kind>.<id>`, the id written as in public subjects. */
import { token } from '#actors/schema/subjects';

export interface Addressed {
  integrator: string;
  kind: string;
  id: string;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const idLengthMax = 128;

/** Undefined when it is none, or an id is written in another way than it would be in a public subject. */
export function parseSubject(subject: string): Addressed | undefined {
  const [prefix, integrator, kind, written, ...more] = subject.split('.');
  if (prefix !== 'in' || !integrator || !kind || !written || more.length > 0) return undefined;
  const id = fromToken(written);
  return id === undefined || id.length > idLengthMax ? undefined : { integrator, kind, id };
}

/** The identity that {@link token} writes like this. */
function fromToken(written: string): string | undefined {
  if (!written.includes('=')) return token(written) === written ? written : undefined;
  try {
    const bytes = Buffer.from(
      written.replace(/=([\dA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
      'latin1',
    );
    const identity = utf8.decode(bytes);
    // One identity, one subject: rights are compared by either.
    return token(identity) === written ? identity : undefined;
  } catch {
    return undefined;
  }
}
