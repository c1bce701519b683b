import { DatabaseSync } from 'node:sqlite';

/** A post as its page shows it. */
export interface Post {
  readonly id: number;
  readonly title: string;
  readonly body: string;
  readonly author: string;
  readonly comments: number;
  readonly likes: number;
  /** The three best liked comments, as JSON. */
  readonly best: string;
}

/** The query of every page view: a post, its author, the totals of its comments and the best three of them. */
export const SELECT_POST = `
  SELECT post.id, post.title, post.body, author.name AS author, count(comment.id) AS comments, total(comment.likes) AS likes,
         (SELECT json_group_array(body) FROM (SELECT body FROM comment WHERE post_id = post.id ORDER BY likes DESC LIMIT 3)) AS best
  FROM post
  JOIN author ON author.id = post.author_id
  LEFT JOIN comment ON comment.post_id = post.id
  WHERE post.id = ?
  GROUP BY post.id`;

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = OFF;
  CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
  CREATE TABLE post (id INTEGER PRIMARY KEY, author_id INTEGER NOT NULL REFERENCES author, title TEXT NOT NULL, body TEXT NOT NULL);
  CREATE TABLE comment (id INTEGER PRIMARY KEY, post_id INTEGER NOT NULL REFERENCES post, body TEXT NOT NULL, likes INTEGER NOT NULL);`;

const AUTHORS = 200;
/** The first posts are the ones people talk about. */
const HOT_POSTS = 20;

/** Creates the SQLite file with `posts` posts and their comments, and returns the number of comments. */
export function createDatabase(file: string, posts: number): number {
  const database = new DatabaseSync(file);
  database.exec(SCHEMA);
  database.exec('BEGIN');
  const addAuthor = database.prepare('INSERT INTO author (name) VALUES (?)');
  const addPost = database.prepare('INSERT INTO post (id, author_id, title, body) VALUES (?, ?, ?, ?)');
  const addComment = database.prepare('INSERT INTO comment (post_id, body, likes) VALUES (?, ?, ?)');

  for (let id = 1; id <= AUTHORS; id++) addAuthor.run(`Author ${id}`);
  let comments = 0;
  for (let id = 1; id <= posts; id++) {
    addPost.run(id, 1 + (id % AUTHORS), `Post ${id}`, `This is what post ${id} has to say. `.repeat(12));
    const share = id <= HOT_POSTS ? 200 : id % 5;
    for (let n = 1; n <= share; n++) addComment.run(id, `Comment ${n} on post ${id}`, (id * 31 + n * 17) % 97);
    comments += share;
  }
  // Built afterwards: filling an index in key order is faster than keeping it up to date.
  database.exec('CREATE INDEX comment_by_post ON comment (post_id, likes)');
  database.exec('COMMIT');
  database.close();
  return comments;
}
