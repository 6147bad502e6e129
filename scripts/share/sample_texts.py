"""People, languages and subjects of the sample mailbox."""

OWNER = ('Alice Example', 'alice@example.org')

PEOPLE = [
    ('Bob Carpenter', 'bob@carpenter.example'),
    ('Carol Díaz', 'carol@example.net'),
    ('Dr. Émile Lefèvre', 'emile@universite.example'),
    ('Ingeborg Müller-Lüdenscheidt', 'ingeborg@mueller.example'),
    ('Nguyễn Thị Minh Khai', 'minhkhai@example.vn'),
    ('', 'noreply@shop.example'),
    ('O\'Neill, Sam (Sales)', 'sam.oneill@sales.example'),
    ('Łukasz Żółć', 'lukasz@example.pl'),
    ('Jón Þór Ægisson', 'jon@example.is'),
]

# language, its old charset, name, subject, text
LANGUAGES = [
    (
        'ja',
        'iso-2022-jp',
        '山田太郎',
        '会議の議事録をお送りします',
        'お世話になっております。\n先日の会議の議事録をお送りします。\nよろしくお願いいたします。\n',
    ),
    ('ja', 'shift_jis', '佐藤花子', '写真、ありがとう!', '写真をありがとう。とてもきれいでした。\n'),
    ('zh', 'gb18030', '王小明', '关于下周的行程安排', '您好:\n附件是下周的行程安排,请查收。\n𠀀 is beyond the BMP.\n'),
    ('zh', 'big5', '陳大文', '明天的會議改期', '明天的會議改到星期五。\n'),
    ('ko', 'euc-kr', '김철수', '회의 자료 첨부합니다', '안녕하세요.\n회의 자료를 첨부합니다.\n'),
    ('ru', 'koi8-r', 'Иван Петров', 'Счёт за ноябрь', 'Здравствуйте!\nВысылаю счёт за ноябрь.\n'),
    (
        'ru',
        'windows-1251',
        'Мария Сидорова',
        'Поездка в Санкт-Петербург',
        'Билеты купила, выезжаем утром.\n',
    ),
    ('uk', 'koi8-u', 'Олена Ґудзь', 'Ґрунт і їжа', 'Привіт! Їдемо на дачу.\n'),
    ('he', 'iso-8859-8', 'דוד כהן', 'הזמנה ליום הולדת', 'שלום,\nאתם מוזמנים ליום ההולדת שלי.\n'),
    (
        'ar',
        'windows-1256',
        'فاطمة الزهراء',
        'دعوة إلى حفل الزفاف',
        'السلام عليكم،\nأنتم مدعوون إلى حفل الزفاف.\n',
    ),
    ('el', 'iso-8859-7', 'Ελένη Παπαδοπούλου', 'Καλή χρονιά', 'Καλή χρονιά σε όλους!\n'),
    (
        'de',
        'windows-1252',
        'Jürgen Groß',
        'Rechnung über 1.000 € – fällig',
        'Guten Tag,\nanbei die „Rechnung“ über 1.000 €.\n',
    ),
    ('pl', 'iso-8859-2', 'Zażółć Gęślą', 'Zaproszenie na święta', 'Zapraszamy na święta.\n'),
    ('tr', 'iso-8859-9', 'İsmail Şahin', 'İstanbul gezisi', 'Gezi cuma günü başlıyor.\n'),
    ('th', 'tis-620', 'สมชาย ใจดี', 'ขอบคุณมากครับ', 'สวัสดีครับ\nขอบคุณมากครับ\n'),
    ('hi', 'utf-8', 'अमित शर्मा', 'दीपावली की शुभकामनाएँ', 'आपको दीपावली की शुभकामनाएँ।\n'),
    ('ka', 'utf-8', 'ნინო ბერიძე', 'შეხვედრა ხვალ', 'გამარჯობა, შევხვდეთ ხვალ.\n'),
    ('am', 'utf-8', 'አበበ ቢቂላ', 'መልካም አዲስ ዓመት', 'መልካም አዲስ ዓመት!\n'),
    (
        'emoji',
        'utf-8',
        '🦊 Foxy',
        '👨‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 👍🏽 thumb, ❤️',
        'ZWJ: 👨‍👩‍👧‍👦 🏳️‍🌈 👩🏽‍🚀\n',
    ),
    ('nfd', 'utf-8', 'Ame\u0301lie', 'Cafe\u0301 cre\u0300me', 'Combining marks in the header.\n'),
    ('utf-7', 'utf-7', 'Jörg', 'Grüße in UTF-7', 'Grüße aus Köln.\n'),
    ('utf-16', 'utf-16', 'Zoë', 'naïve subject in UTF-16', 'UTF-16 body.\n'),
]

THREADS = [
    ('INBOX', 'Offer for the new roof', 'roof tiles, two weeks, invoice to follow'),
    ('INBOX', 'Lunch on Thursday?', 'the new place by the river'),
    ('INBOX', 'Besuch am Wochenende', 'Kommt ihr mit dem Zug?'),
    ('Projects/Roof & Attic', 'Insulation: which material?', 'wood fibre or hemp'),
    ('Projects/Roof & Attic', 'Scaffolding', 'who orders it, and when'),
    ('Projects/50% done', 'Half of it works', 'the other half does not'),
    ('Lists/fs-devel', '[PATCH v3 0/4] readdirplus: fewer round trips', 'benchmarks below'),
    ('Lists/fs-devel', 'RFC: what should st_blocks say?', 'quotas, du, and lies'),
    ('Lists/fs-devel', 'inode numbers over remounts', 'backup tools rely on them'),
    ('Lists/日本語', '[users-ja] 文字化けについて', 'ISO-2022-JP と UTF-8'),
    ('Familie/Großmutter', 'Rezept für Apfelkuchen', 'mit Zimt, ohne Rosinen'),
    ('Путешествия', 'Отпуск в июле', 'море или горы?'),
]

NEWSLETTER = '''<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ font-family: sans-serif }} .price {{ color: #b00 }}</style></head>
<body><h1>{title}</h1><p>Hello&nbsp;Alice, this week &ndash; only for you:</p>
<ul>{items}</ul>
<p><img src="cid:{cid}" alt="picture"> <a href="https://shop.example/u?id={number}">unsubscribe</a></p>
</body></html>
'''
