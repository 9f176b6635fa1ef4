/** A table in the database of the browser, which outlives the page. Its keys grow in the order of the answers. */

export class Table {
  /** @param {IDBDatabase} database */
  constructor(database) {
    this.database = database;
  }

  /** @returns {Promise<Table>} */
  static open() {
    return new Promise((resolve, reject) => {
      const request = indexedDB.open("raycal", 1);
      request.onupgradeneeded = () => request.result.createObjectStore("outbox", { keyPath: "key", autoIncrement: true });
      request.onsuccess = () => resolve(new Table(request.result));
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(new Error("the database is in use"));
    });
  }

  /**
   * @template T
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} work
   * @returns {Promise<T>}
   */
  run(mode, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction("outbox", mode, { durability: "strict" });
      const request = work(transaction.objectStore("outbox"));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  }
}
