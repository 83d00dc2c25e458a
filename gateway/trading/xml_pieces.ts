/**
 * A document of plain XML as a stream of pieces: tags, texts, nothing else. Comments and processing instructions are passed
 * over; a DOCTYPE and CDATA, which no dump has, are refused. A tag or a text of more than 64 KiB is, too.
 */

export type XmlPiece =
  | { is: 'open'; name: string; hasAttributes: boolean; line: number }
  | { is: 'text'; text: string; line: number }
  | { is: 'close'; name: string; line: number };

export class XmlError extends Error {
  override readonly name = 'XmlError';
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

const pieceCharsMax = 65_536;
const tag = /^(\/?)([A-Za-z_][\w.-]*)((?:\s+[A-Za-z_:][\w.:-]*\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)$/;
const reference = /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/g;
const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const outsideXml = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

/** Hands out all pieces in order. @throws {XmlError} where it is no XML */
export async function readXml(chunks: AsyncIterable<Uint8Array>, onPiece: (piece: XmlPiece) => void): Promise<void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const open: string[] = [];
  let rest = '';
  let line = 1;
  let wasRoot = false;
  const passLines = (text: string) => {
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) line += 1;
  };
  const decoded = (text: string): string => {
    if (!text.includes('&')) return text;
    if (text.replace(reference, '').includes('&')) throw new XmlError(line, `a bare & in '${text.slice(0, 60)}'`);
    return text.replace(reference, (_, name: string | undefined, decimal: string | undefined, hex: string) => {
      if (name !== undefined) return named[name]!;
      const code = decimal !== undefined ? Number(decimal) : parseInt(hex, 16);
      const character = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : '\u0000';
      if (outsideXml.test(character)) throw new XmlError(line, `a reference to what XML cannot hold: ${code}`);
      return character;
    });
  };

  /** Hands out what is whole and keeps the rest. */
  function pieces(isLast: boolean): void {
    let at = 0;
    while (at < rest.length) {
      const less = rest.indexOf('<', at);
      if (less !== at) {
        // Text before the end of a chunk may go on in the next.
        if (less < 0 && !isLast && rest.length - at <= pieceCharsMax) break;
        const text = rest.slice(at, less < 0 ? rest.length : less);
        if (text.length > pieceCharsMax) throw new XmlError(line, `a text of more than ${pieceCharsMax} characters`);
        if (open.length > 0) onPiece({ is: 'text', text: decoded(text), line });
        else if (text.trim() !== '') throw new XmlError(line, `text outside the root: '${text.trim().slice(0, 60)}'`);
        passLines(text);
        at += text.length;
        continue;
      }
      const second = rest[at + 1];
      const opaque = second === '?' ? '?>' : rest.startsWith('<!--', at) ? '-->' : '>';
      // `<!-` may become a comment.
      if (second === '!' && opaque === '>' && rest.length < at + 4 && !isLast) break;
      const end = rest.indexOf(opaque, at + (opaque === '-->' ? 4 : 1));
      if (end < 0) {
        if (!isLast && rest.length - at <= pieceCharsMax) break;
        throw new XmlError(line, `a tag without end: '${rest.slice(at, at + 60)}'`);
      }
      if (opaque === '>') element(rest.slice(at + 1, end));
      const next = end + opaque.length;
      passLines(rest.slice(at, next));
      at = next;
    }
    rest = rest.slice(at);
  }

  function element(inside: string): void {
    const [, slash, name, attributes = '', empty] = tag.exec(inside) ?? [];
    if (name === undefined || (slash !== '' && (attributes !== '' || empty !== '')))
      throw new XmlError(line, `no tag: '<${inside.slice(0, 60)}>'`);
    if (slash === '') {
      if (open.length === 0 && wasRoot) throw new XmlError(line, `<${name}> after the end of the root`);
      wasRoot = true;
      open.push(name);
      onPiece({ is: 'open', name, hasAttributes: attributes !== '', line });
      if (empty === '') return;
    }
    const opened = open.pop();
    if (opened !== name) throw new XmlError(line, `</${name}> where <${opened ?? 'nothing'}> is open`);
    onPiece({ is: 'close', name, line });
  }

  const checked = (text: string) => {
    if (outsideXml.test(text)) throw new XmlError(line, 'a control character near this line');
    return text;
  };
  for await (const chunk of chunks) {
    try {
      rest += checked(decoder.decode(chunk, { stream: true }));
    } catch (error) {
      throw error instanceof XmlError ? error : new XmlError(line, 'no UTF-8 near this line');
    }
    pieces(false);
  }
  pieces(true);
  if (open.length > 0) throw new XmlError(line, `<${open.at(-1)}> is not closed`);
  if (!wasRoot) throw new XmlError(line, 'there is no element');
}
