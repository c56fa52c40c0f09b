import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';

/** One question in a terminal. */
export interface Question {
  text: string;
  /** What is typed isn't shown. */
  isHidden: boolean;
}

/**
 * Asks in a terminal and waits for one line.
 * @throws Error when it is interrupted, or when several lines are pasted: most of them would be lost
 */
export async function ask(
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  { text, isHidden }: Question,
): Promise<string> {
  // The line editor echoes what it is given; a hidden answer is echoed into nothing.
  const echo = isHidden ? new PassThrough().resume() : output;
  const editor = createInterface({ input, output: echo, terminal: true, historySize: 0 });
  // Not before: until the editor holds the terminal, that echoes by itself what is typed.
  output.write(text);
  // Redrawing a line, the editor would wipe a question that it doesn't know.
  editor.setPrompt(isHidden ? '' : text);
  try {
    const lines = await readLines(editor);
    if (lines.length > 1) {
      throw new Error('several lines came at once; send a value of many lines through a pipe');
    }
    return lines[0] ?? '';
  } finally {
    editor.close();
    if (isHidden) output.write('\n');
  }
}

/** The first line, and what came along with it. */
async function readLines(editor: ReturnType<typeof createInterface>): Promise<string[]> {
  return await new Promise((resolve, reject) => {
    const lines: string[] = [];
    editor.on('line', (line) => {
      lines.push(line);
      if (lines.length > 1) return;
      setImmediate(() => {
        resolve(editor.line === '' ? lines : [...lines, editor.line]);
      });
    });
    editor.once('SIGINT', () => {
      editor.close();
    });
    editor.once('close', () => {
      reject(new Error('interrupted; nothing was stored'));
    });
  });
}
