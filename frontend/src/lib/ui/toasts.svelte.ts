/** Short messages about what was done; errors stay until somebody closes them. */
const SHOWN = 3500; // ms
const LONGEST = 500; // characters

export interface Toast {
  id: number;
  kind: "success" | "danger";
  text: string;
}

class Toasts {
  list = $state<Toast[]>([]);
  #ids = 0;

  done(text: string): void {
    const id = this.#add("success", text);
    setTimeout(() => this.close(id), SHOWN);
  }

  failed(text: string): void {
    this.#add("danger", text.slice(0, LONGEST));
  }

  close(id: number): void {
    this.list = this.list.filter((item) => item.id !== id);
  }

  #add(kind: Toast["kind"], text: string): number {
    this.#ids += 1;
    this.list = [...this.list.slice(-4), { id: this.#ids, kind, text }];
    return this.#ids;
  }
}

export const toasts = new Toasts();
