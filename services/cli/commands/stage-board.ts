/** The stages of a long piece of work as rows of a board. */
import { createBoard, type Row } from '../board.ts';
import { duration } from '../output.ts';
import type { Session } from '../program.ts';

const frameMs = 120;
/** When piped, the beginning of a stage is told only once it lasts. */
const slowMs = 2_000;

/** Stages as rows; the last one runs until the next begins. */
export function stageBoard(session: Session) {
  const board = createBoard(session.output);
  const rows: { base: string; name: string; text: string; began: number; ended: number | null; failed: boolean }[] = [];
  const tellable = (row: (typeof rows)[number]): boolean =>
    session.output.live || row.ended !== null || Date.now() - row.began >= slowMs;
  const show = () =>
    board.show(
      rows.filter(tellable).map(
        (row): Row => ({
          key: row.name,
          name: row.name,
          state: row.ended === null ? 'running' : row.failed ? 'failed' : 'done',
          // Lines of scripts fly by on a terminal; when piped, stages alone are told.
          text: session.output.live && row.ended === null ? row.text : '',
          clock: [row.ended !== null && row.text, duration((row.ended ?? Date.now()) - row.began)]
            .filter(Boolean)
            .join(', '),
        }),
      ),
    );
  const timer = setInterval(show, session.output.live ? frameMs : slowMs);
  const end = (failed: boolean) => {
    const last = rows.at(-1);
    if (last?.ended === null) Object.assign(last, { ended: Date.now(), failed });
  };
  return {
    stage(name: string, text = '') {
      const last = rows.at(-1);
      // A stage that is taken up again at once (the scripts of one phase) goes on as the same row.
      if (last?.base === name) {
        Object.assign(last, { text, ended: null });
        return;
      }
      end(false);
      if (last) last.text = '';
      // A stage may come twice (the tree, the packages): each gets its own row.
      const again = rows.filter((row) => row.base === name).length;
      rows.push({
        base: name,
        name: again > 0 ? `${name} (${again + 1})` : name,
        text,
        began: Date.now(),
        ended: null,
        failed: false,
      });
      show();
    },
    note(text: string) {
      const last = rows.at(-1);
      if (last) last.text = text;
    },
    close(failed: boolean) {
      clearInterval(timer);
      end(failed);
      show();
      board.end();
    },
  };
}
